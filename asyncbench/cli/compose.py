"""The only place that picks concrete classes. Bench processes import it; the supervisor must not: it stays small."""

from __future__ import annotations

from asyncbench.backends.base import Backend
from asyncbench.backends.onnxruntime import OnnxRuntimeBackend
from asyncbench.backends.simulated import SimulatedBackend
from asyncbench.backends.simulated_spec import parse_simulated_spec
from asyncbench.errors import BackendUnavailableError
from asyncbench.sweep.config import BackendChoice, SweepConfig


def make_backend(config: SweepConfig) -> Backend:
    """Return the backend that `config` asks for; `auto` is the best that this machine has.

    Raises:
        BackendUnavailableError: It does not exist here.
        BadInputError: Its settings cannot be used.
    """
    if config.backend is BackendChoice.SIMULATED:
        return SimulatedBackend(parse_simulated_spec({"seed": config.seed, **(config.simulated or {})}))
    if config.backend is BackendChoice.TENSORRT:
        raise BackendUnavailableError(
            "the tensorrt backend is not in this version", remedy="use --backend onnxruntime or simulated"
        )
    return OnnxRuntimeBackend(intra_op_threads=config.intra_op_threads)
