"""What all tests share: the examples of hypothesis, and the GPU, where there is one."""

from __future__ import annotations

import ctypes
import os
import subprocess
from collections import Counter
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import pytest

if find_spec("hypothesis"):  # a GPU machine may only have the extra gpu-test, whose tests do not use it
    from hypothesis import settings

    # Machines are shared: how long an example takes says nothing. The same examples every time: whoever changes one
    # line must not meet a counterexample of another. `scripts/stress` searches on, with others each time. A test
    # with expensive examples takes a share of them: `settings(max_examples=settings.default.max_examples // 4)`.
    settings.register_profile("deterministic", deadline=None, derandomize=True)
    settings.register_profile("search", deadline=None, max_examples=5_000, print_blob=True)
    settings.load_profile(os.environ.get("ASYNCBENCH_HYPOTHESIS", "deterministic"))

# Where the machine's TensorRT has no cuBLAS and cuDNN beside it: names of the tactic sources that may be used.
TACTIC_SOURCES = os.environ.get("ASYNCBENCH_TACTIC_SOURCES", "").split(",")


@dataclass(frozen=True, slots=True)
class Gpu:
    """The GPU that tests marked `gpu` run on."""

    def backend(self, engine_folder: Path, **settings_of_lanes):
        """Return the tensorrt backend over a cache of its own."""
        from asyncbench.backends.tensorrt.backend import TensorRtBackend
        from asyncbench.backends.tensorrt.build.messages import BuildSettings
        from asyncbench.backends.tensorrt.cache.folder import EngineFolder
        from asyncbench.backends.tensorrt.settings import LaneSettings, TensorRtSettings

        sources = tuple(filter(None, TACTIC_SOURCES)) or None
        chosen = TensorRtSettings(lanes=LaneSettings(**settings_of_lanes), build=BuildSettings(tactic_sources=sources))
        return TensorRtBackend(chosen, EngineFolder(root=engine_folder), report=print)


@pytest.fixture(scope="session")
def gpu() -> Gpu:
    """The GPU; skips where TensorRT cannot run, and says why."""
    if find_spec("cuda") is None:
        pytest.skip("no GPU: the CUDA bindings are not installed (extra gpu-test)")
    from asyncbench.backends.tensorrt.installation import why_unavailable

    if why := why_unavailable():
        pytest.skip(f"no GPU: {why}")
    return Gpu()


FAKE_CUDA_SOURCE = Path(__file__).parent / "native" / "fake_cuda.cpp"


@dataclass(frozen=True)
class FakeCuda:
    """What tests ask of tests/native/fake_cuda.cpp; see fake_cuda.hpp beside it."""

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
        """Ask for one of the counters: launches, in_flight, max_in_flight, calls, live_events, misuses."""
        function = self.library[f"fake_{what}"]
        function.restype = ctypes.c_uint64
        if argument is None:
            return function()
        return function(argument.encode() if isinstance(argument, str) else ctypes.c_void_p(argument))


@pytest.fixture(scope="session")
def fake_cuda_library(tmp_path_factory) -> FakeCuda:
    """The fake driver library, built once for the session and steered by ctypes."""
    path = tmp_path_factory.mktemp("fake-cuda") / "libfake_cuda.so"
    subprocess.run(
        ["c++", "-std=c++20", "-O1", "-shared", "-fPIC", "-pthread", FAKE_CUDA_SOURCE, "-o", path], check=True
    )
    return FakeCuda(path=path, library=ctypes.CDLL(str(path)))


# Folders, with commas, whose tests may not skip because something is not installed: CI has installed it.
REQUIRED_FOLDERS = set(filter(None, os.environ.get("ASYNCBENCH_REQUIRE", "").split(",")))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item, call):
    """Turn a skip for want of an installation into a failure, where the run says that everything is installed."""
    report = yield
    if report.skipped and REQUIRED_FOLDERS & set(item.path.parts) and "not installed" in str(report.longrepr):
        report.outcome = "failed"
        report.longrepr = f"skipped, though ASYNCBENCH_REQUIRE says that it must run: {report.longrepr}"
    return report


def pytest_terminal_summary(terminalreporter):
    """Say what was skipped and why, a line for each reason: `-rs` has a line for each test."""
    reasons = Counter(_reason_of(report) for report in terminalreporter.getreports("skipped"))
    if reasons:
        terminalreporter.section("skipped: how many, and why", sep="-")
    for reason, count in reasons.most_common():
        terminalreporter.write_line(f"{count:4} {reason}")


def _reason_of(report) -> str:
    _path, _line, text = report.longrepr
    return text.removeprefix("Skipped: ")
