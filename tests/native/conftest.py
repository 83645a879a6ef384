"""Pumps and lanes over the fake driver library."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from asyncbench import _pump as pump_module  # noqa: TID251  # these are the tests of that module

SOME_CONTEXT = 0xC0DE
SOME_GRAPH = 0x6EA9


@pytest.fixture
def fake_cuda(fake_cuda_library) -> Iterator[Any]:
    """The fake driver; at the end no event of the test may be left, and no call may have been out of order."""
    events_before = fake_cuda_library.count("live_events")
    yield fake_cuda_library
    fake_cuda_library.heal()
    assert fake_cuda_library.count("live_events") == events_before
    assert fake_cuda_library.count("misuses") == 0


@pytest.fixture(params=["spin", "yield", "block"])
def pump(request, fake_cuda):
    with pump_module.Pump(SOME_CONTEXT, completion=request.param, library=str(fake_cuda.path)) as pump:
        yield pump


@pytest.fixture
def add_lane(pump):
    """Add a lane over a stream of the fake driver."""

    def add(stream: int, max_credits: int = 16, **options) -> int:
        return pump.add_lane(stream, SOME_GRAPH, max_credits, **options)

    return add
