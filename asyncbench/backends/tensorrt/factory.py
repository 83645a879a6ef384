"""The `tensorrt` backend from its options. Importing this takes no CUDA bindings, which only come with the extras."""

from __future__ import annotations

from importlib.util import find_spec

from asyncbench.backends.base import Backend, Report
from asyncbench.backends.tensorrt.build.messages import BuildSettings
from asyncbench.backends.tensorrt.cache.folder import user_engine_folder
from asyncbench.backends.tensorrt.settings import LaneSettings, TensorRtSettings
from asyncbench.errors import BackendUnavailableError
from asyncbench.sweep.backends.tensorrt import TensorRtOptions
from asyncbench.sweep.config import SweepConfig

# One level at a time: asking for a part of a package that is missing raises instead of answering None.
HAS_CUDA_BINDINGS = find_spec("cuda") is not None and find_spec("cuda.bindings") is not None
_REMEDY = "install the extra cuda12, cuda13 or rtx, or choose --backend onnxruntime"


def make_backend(options: TensorRtOptions, *, config: SweepConfig, report: Report) -> Backend:
    """Return the backend; see `BackendFactory`.

    Raises:
        BackendUnavailableError: The CUDA bindings are not installed.
    """
    if not HAS_CUDA_BINDINGS:
        raise BackendUnavailableError(
            "the tensorrt backend needs cuda-bindings, which is not installed", remedy=_REMEDY
        )
    from asyncbench.backends.tensorrt.backend import TensorRtBackend  # noqa: PLC0415 # needs the bindings

    return TensorRtBackend(tensorrt_settings(options, config), user_engine_folder(), report=report)


def tensorrt_settings(options: TensorRtOptions, config: SweepConfig) -> TensorRtSettings:
    """Return the settings of the backend, from its options and from the limits of the sweep."""
    return TensorRtSettings(
        lanes=LaneSettings(
            completion=str(options.completion),
            depth=options.depth,
            transfers=options.transfers,
            gpu_time=options.gpu_time,
            deadline_ns=2 * config.cell_timeout_ns,
        ),
        build=BuildSettings(workspace_bytes=options.workspace_bytes, tactic_sources=options.tactic_sources),
        engine_mode=options.engine,
        memory_budget_bytes=config.memory_budget_bytes,
    )


def why_unavailable() -> str | None:
    """Return why no engine can be run on this machine, or None if one can. Blocking."""
    if not HAS_CUDA_BINDINGS:
        return "the CUDA bindings are not installed: install the extra cuda12, cuda13 or rtx"
    from asyncbench.backends.tensorrt.installation import why_unavailable as why  # noqa: PLC0415 # needs the bindings

    return why()
