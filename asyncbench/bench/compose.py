"""The only place that picks concrete classes. Bench processes import it; the supervisor must not: it stays small."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec

from asyncbench.backends.base import Backend
from asyncbench.backends.simulated.backend import SimulatedBackend
from asyncbench.backends.simulated.spec import parse_simulated_spec
from asyncbench.backends.tensorrt.build.engine_choice import EngineMode
from asyncbench.backends.tensorrt.build.messages import BuildSettings
from asyncbench.backends.tensorrt.cache.folder import user_engine_folder
from asyncbench.backends.tensorrt.settings import LaneSettings, TensorRtSettings
from asyncbench.errors import BackendUnavailableError
from asyncbench.places import cache_folder
from asyncbench.sweep.cell import Precision
from asyncbench.sweep.config import BackendChoice, SweepConfig

# One level at a time: asking for a part of a package that is missing raises instead of answering None.
HAS_CUDA_BINDINGS = find_spec("cuda") is not None and find_spec("cuda.bindings") is not None


def make_backend(config: SweepConfig, say: Callable[[str], None]) -> Backend:
    """Return the backend that `config` asks for; `auto` is the best that this machine has.

    Args:
        say: Takes one line for people about what opening an engine is at.

    Raises:
        BackendUnavailableError: It does not exist here.
        BadInputError: Its settings cannot be used.
    """
    if config.backend is BackendChoice.SIMULATED:
        return SimulatedBackend(parse_simulated_spec({"seed": config.seed, **(config.simulated or {})}))
    if config.backend is BackendChoice.TENSORRT or (config.backend is BackendChoice.AUTO and _has_tensorrt()):
        return _tensorrt(config, say)
    # Not above: importing it takes onnx, onnxruntime and its quantization, and a simulated sweep needs none of them.
    from asyncbench.backends.onnx_runtime.backend import OnnxRuntimeBackend  # noqa: PLC0415

    return OnnxRuntimeBackend(intra_op_threads=config.intra_op_threads, quantized_folder=cache_folder() / "quantized")


def make_reference(backend: Backend, precision: Precision) -> Backend | None:
    """Return what outputs are held to: ONNX Runtime in fp32, unless they are that, or only simulated."""
    if isinstance(backend, SimulatedBackend):
        return None
    from asyncbench.backends.onnx_runtime.backend import OnnxRuntimeBackend  # noqa: PLC0415 # see make_backend

    is_reference = isinstance(backend, OnnxRuntimeBackend) and precision is Precision.FP32
    return None if is_reference else OnnxRuntimeBackend()


def _tensorrt(config: SweepConfig, say: Callable[[str], None]) -> Backend:
    if not HAS_CUDA_BINDINGS:
        raise BackendUnavailableError(
            "the tensorrt backend needs cuda-bindings, which is not installed",
            remedy="install the extra cuda12, cuda13 or rtx, or choose --backend onnxruntime",
        )
    # Not above: importing it takes the CUDA bindings, which only come with the extras.
    from asyncbench.backends.tensorrt.backend import TensorRtBackend  # noqa: PLC0415

    return TensorRtBackend(tensorrt_settings(config), user_engine_folder(), say=say)


def tensorrt_settings(config: SweepConfig) -> TensorRtSettings:
    """Return what `config` says of the tensorrt backend."""
    return TensorRtSettings(
        lanes=LaneSettings(
            completion=str(config.completion),
            depth=config.depth,
            transfers=config.transfers,
            gpu_time=config.gpu_time,
            deadline_ns=2 * config.cell_timeout_ns,
        ),
        build=BuildSettings(workspace_bytes=config.workspace_bytes, tactic_sources=config.tactic_sources),
        engine_mode=EngineMode(config.engine),
        memory_budget_bytes=config.memory_budget_bytes,
    )


def _has_tensorrt() -> bool:
    """Whether `auto` may take TensorRT: the CUDA bindings, a TensorRT that builds, and a GPU are all there."""
    if not HAS_CUDA_BINDINGS:
        return False
    from asyncbench.backends.tensorrt.backend import why_unavailable  # noqa: PLC0415 # see _tensorrt

    return why_unavailable() is None
