"""The fake driver library, built once for the session and steered by ctypes."""

from __future__ import annotations

import ctypes
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from asyncbench import _pump as pump_module  # noqa: TID251  # these are the tests of that module

HERE = Path(__file__).parent
SOME_CONTEXT = 0xC0DE
SOME_GRAPH = 0x6EA9


@dataclass(frozen=True)
class FakeCuda:
    """What the tests of this folder ask of fake_cuda.cpp; see fake_cuda.hpp."""

    path: Path
    library: ctypes.CDLL

    def stream(self, *, low_ns: int = 0, high_ns: int | None = None, seed: int = 0) -> int:
        self.library.fake_stream.restype = ctypes.c_void_p
        high_ns = low_ns if high_ns is None else high_ns
        return self.library.fake_stream(ctypes.c_int64(low_ns), ctypes.c_int64(high_ns), ctypes.c_uint64(seed))

    def held_stream(self) -> int:
        self.library.fake_held_stream.restype = ctypes.c_void_p
        return self.library.fake_held_stream()

    def release(self, stream: int, count: int = 1) -> None:
        self.library.fake_release(ctypes.c_void_p(stream), ctypes.c_uint64(count))

    def fail(self, function: str, *, stream: int | None = None, nth: int = 1, code: int = 700, sticky: bool = False):
        self.library.fake_fail(
            function.encode(), ctypes.c_void_p(stream), ctypes.c_uint64(nth), ctypes.c_int(code), ctypes.c_bool(sticky)
        )

    def heal(self) -> None:
        self.library.fake_heal()

    def count(self, what: str, argument: int | str | None = None) -> int:
        """Ask for one of the counters: launches, in_flight, most_in_flight, calls, live_events, misuses."""
        function = self.library[f"fake_{what}"]
        function.restype = ctypes.c_uint64
        if argument is None:
            return function()
        return function(argument.encode() if isinstance(argument, str) else ctypes.c_void_p(argument))


@pytest.fixture(scope="session")
def fake_cuda_library(tmp_path_factory) -> FakeCuda:
    path = tmp_path_factory.mktemp("fake-cuda") / "libfake_cuda.so"
    subprocess.run(
        ["c++", "-std=c++20", "-O1", "-shared", "-fPIC", "-pthread", HERE / "fake_cuda.cpp", "-o", path], check=True
    )
    return FakeCuda(path=path, library=ctypes.CDLL(str(path)))


@pytest.fixture
def fake_cuda(fake_cuda_library) -> Iterator[FakeCuda]:
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
