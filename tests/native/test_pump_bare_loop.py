"""The loops that the pump is compared with."""

from __future__ import annotations

import numpy as np
import pytest

from asyncbench import _pump as pump_module  # noqa: TID251  # these are the tests of that module

pytestmark = pytest.mark.native

SOME_CONTEXT = 0xC0DE


@pytest.mark.parametrize("completion", ["spin", "yield", "block"])
def test_bare_loop_keeps_every_lane_busy_for_the_time_given(fake_cuda, completion):
    streams = [fake_cuda.stream(low_ns=50_000) for _ in range(2)]

    result = pump_module.bare_loop(
        SOME_CONTEXT, [(stream, 1) for stream in streams], 0.02, completion=completion, library=str(fake_cuda.path)
    )

    assert result.n >= 2
    assert result.n == sum(fake_cuda.count("launches", stream) for stream in streams)
    assert result.duration_ns >= 20_000_000
    assert result.latencies_ns.dtype == np.int64
    assert len(result.latencies_ns) == result.n
    assert (result.latencies_ns >= 50_000).all()


def test_bare_loop_raises_what_the_driver_said(fake_cuda):
    fake_cuda.fail("cuEventQuery", nth=3)

    with pytest.raises(pump_module.DriverError) as caught:
        pump_module.bare_loop(SOME_CONTEXT, [(fake_cuda.stream(), 1)], 60.0, library=str(fake_cuda.path))

    assert caught.value.args[1::2] == ("CUDA_ERROR_ILLEGAL_ADDRESS", "cuEventQuery")


def test_bare_replay_takes_as_long_as_its_graphs(fake_cuda):
    stream = fake_cuda.stream(low_ns=100_000)

    took_ns = pump_module.bare_replay(SOME_CONTEXT, stream, 1, 30, library=str(fake_cuda.path))

    assert fake_cuda.count("launches", stream) == 30
    assert took_ns >= 30 * 100_000
