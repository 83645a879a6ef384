"""What all tests share: the examples of hypothesis, and the GPU, where there is one."""

from __future__ import annotations

import os
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import pytest

if find_spec("hypothesis"):  # a GPU machine may only have the extra gpu-test, whose tests do not use it
    from hypothesis import settings

    # Machines are shared: how long an example takes says nothing.
    settings.register_profile("untimed", deadline=None)
    settings.load_profile("untimed")

# Where the machine's TensorRT has no cuBLAS and cuDNN beside it: names of the tactic sources that may be used.
TACTIC_SOURCES = os.environ.get("ASYNCBENCH_TACTIC_SOURCES", "").split(",")


@dataclass(frozen=True, slots=True)
class Gpu:
    """The GPU that tests marked `gpu` run on."""

    def backend(self, engine_folder: Path, **settings_of_lanes):
        """Return the tensorrt backend over a cache of its own."""
        from asyncbench.backends.tensorrt.backend import TensorRtBackend
        from asyncbench.backends.tensorrt.messages import BuildSettings
        from asyncbench.backends.tensorrt.settings import LaneSettings, TensorRtSettings
        from asyncbench.engine_cache.folder import EngineFolder

        sources = tuple(filter(None, TACTIC_SOURCES)) or None
        chosen = TensorRtSettings(lanes=LaneSettings(**settings_of_lanes), build=BuildSettings(tactic_sources=sources))
        return TensorRtBackend(chosen, EngineFolder(root=engine_folder), say=print)


@pytest.fixture(scope="session")
def gpu() -> Gpu:
    """The GPU; skips where TensorRT cannot run, and says why."""
    if find_spec("cuda") is None:
        pytest.skip("no GPU: the CUDA bindings are not installed (extra gpu-test)")
    from asyncbench.backends.tensorrt.backend import why_unavailable

    if why := why_unavailable():
        pytest.skip(f"no GPU: {why}")
    return Gpu()


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
