"""A deserialized TensorRT engine, and what its lanes must know of it."""

from __future__ import annotations

from pathlib import Path

from asyncbench.backends.base import TensorSpec
from asyncbench.backends.tensorrt.engine_choice import EngineShape
from asyncbench.backends.tensorrt.handles import ICudaEngine, IExecutionContext
from asyncbench.backends.tensorrt.versions import Bindings, IoTensor, Severity
from asyncbench.clock import now_ns
from asyncbench.errors import BadInputError, LaneError


class LoadedPlan:
    """One engine in device memory, shared by all lanes of its batches. Blocking; on a thread with the device current.

    Args:
        path: The plan, verified by the cache.

    Raises:
        BadInputError: TensorRT refused it; the message has TensorRT's reason.
    """

    def __init__(self, bindings: Bindings, path: Path, shape: EngineShape) -> None:
        self.bindings = bindings
        self.shape = shape
        self._messages: list[str] = []
        started_at_ns = now_ns()
        # TensorRT keeps a pointer to the logger, not a reference.
        self._logger = bindings.create_logger(self._on_message)
        self._runtime = bindings.create_runtime(self._logger)
        engine = self._runtime.deserialize_cuda_engine(path.read_bytes())
        if engine is None:
            raise BadInputError(f"TensorRT refused the engine {path.name}: {self.last_message()}")
        self.engine: ICudaEngine = engine
        self.load_ns = now_ns() - started_at_ns
        tensors = bindings.io_tensors(engine)
        self.inputs = tuple(_spec(tensor) for tensor in tensors if tensor.is_input)
        self.outputs = tuple(_spec(tensor) for tensor in tensors if not tensor.is_input)

    def last_message(self) -> str:
        """Return TensorRT's last complaint."""
        return self._messages[-1] if self._messages else "it gave no reason"

    def create_context(self, batch: int, stream: int) -> IExecutionContext:
        """Return an execution context without scratch memory, on the profile for `batch`."""
        exec_context = self.bindings.create_user_managed_context(self.engine)
        profile = self.shape.profile_of(batch)
        if profile and not exec_context.set_optimization_profile_async(profile, stream):
            raise LaneError(f"TensorRT refused optimization profile {profile}: {self.last_message()}")
        return exec_context

    def set_batch(self, exec_context: IExecutionContext, batch: int) -> None:
        """Set the input shapes of a context."""
        for spec in self.inputs:
            if not exec_context.set_input_shape(spec.name, (batch, *spec.item_shape)):
                raise LaneError(f"TensorRT refused batch {batch} for {spec.name!r}: {self.last_message()}")

    def _on_message(self, severity: Severity, text: str) -> None:
        if severity is Severity.ERROR:
            self._messages[:] = [" ".join(text.split())]


def _spec(tensor: IoTensor) -> TensorSpec:
    return TensorSpec(name=tensor.name, item_shape=tensor.shape[1:], dtype=tensor.dtype)
