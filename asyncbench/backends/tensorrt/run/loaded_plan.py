"""A deserialized TensorRT engine, and what its lanes must know of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from asyncbench.backends.tensorrt.bindings.allocator import CountingAllocator
from asyncbench.backends.tensorrt.bindings.protocols import ICudaEngine, IExecutionContext
from asyncbench.backends.tensorrt.bindings.versions import Bindings, IoTensor, Severity
from asyncbench.backends.tensorrt.build.engine_choice import EngineShape
from asyncbench.backends.tensorrt.build.log import tells_out_of_memory
from asyncbench.clock import now_ns
from asyncbench.errors import AsyncbenchError, BadInputError, DoesNotFitError, LaneError
from asyncbench.tensors import TensorSpec

_OPEN = -1  # how TensorRT writes a size that is not known yet
_DEFAULT_STREAM = 0  # nothing is launched there: choosing a profile asks for a stream


class LoadedPlan:
    """One engine in device memory, shared by all lanes of its batches. Blocking; on a thread with the device current.

    Args:
        path: The plan, verified by the cache.
        allocator: Where TensorRT gets its device memory for this engine and its contexts; None leaves it to TensorRT.

    Raises:
        BadInputError: TensorRT refused it; the message has TensorRT's reason.
        DoesNotFitError: The plan may be fine; there was no memory for it.
    """

    def __init__(
        self, bindings: Bindings, path: Path, shape: EngineShape, *, allocator: CountingAllocator | None = None
    ) -> None:
        self.bindings = bindings
        self.shape = shape
        self._messages: list[str] = []
        started_at_ns = now_ns()
        # TensorRT keeps a pointer to the logger, not a reference.
        self._logger = bindings.create_logger(self._on_message)
        self._runtime = bindings.create_runtime(self._logger)
        if allocator is not None:
            # The runtime keeps it, and the engine and its contexts keep the runtime.
            self._runtime.gpu_allocator = bindings.create_gpu_allocator(
                allocate=allocator.allocate, free=allocator.free
            )
        engine = self._runtime.deserialize_cuda_engine(path.read_bytes())
        if engine is None:
            raise self._refused(path, allocator.take_refusal() if allocator else None)
        self.engine: ICudaEngine = engine
        self.load_ns = now_ns() - started_at_ns
        tensors = bindings.io_tensors(engine)
        self.inputs = tuple(_spec(tensor) for tensor in tensors if tensor.is_input)
        self._outputs = [tensor for tensor in tensors if not tensor.is_input]
        self.outputs = tuple(_spec(tensor) for tensor in self._with_sizes())

    def check_outputs(self) -> None:
        """Refuse a network that lanes cannot run. Not while it is loaded: the engine is whole, another were the same.

        A context is asked, at the largest batch: what the engine itself says is the shape of its first profile, which
        with TensorRT 8.6 is that of one batch where the profile has only that.

        Raises:
            BadInputError: An output has no batch axis, or a size that the inputs do not decide.
        """
        batch = self.shape.batches[-1]
        for tensor in self._at_batch(batch):
            if tensor.shape[:1] != (batch,):
                raise BadInputError(
                    f"output {tensor.name!r} has the shape {tensor.shape} at batch {batch}, without a batch axis",
                    remedy="export the model with the batch as the first axis of every output",
                )
            if _OPEN in tensor.shape:
                raise BadInputError(
                    f"the size of an item of output {tensor.name!r}, {tensor.shape[1:]}, depends on the data",
                    remedy="cut the graph before the node that makes it so, such as its non-maximum suppression",
                )

    def _with_sizes(self) -> list[IoTensor]:
        """Return the outputs with the sizes that an engine leaves open until its inputs have theirs."""
        is_open = any(_OPEN in tensor.shape[1:] for tensor in self._outputs)
        return self._at_batch(self.shape.batches[0]) if is_open else self._outputs

    def _at_batch(self, batch: int) -> list[IoTensor]:
        """Return the outputs with their shapes at one batch."""
        exec_context = self.create_context(batch, stream=_DEFAULT_STREAM)
        self.set_batch(exec_context, batch)
        return [replace(tensor, shape=tuple(exec_context.get_tensor_shape(tensor.name))) for tensor in self._outputs]

    def last_message(self) -> str:
        """Return TensorRT's last complaint."""
        return self._messages[-1] if self._messages else "it gave no reason"

    def create_context(self, batch: int, stream: int) -> IExecutionContext:
        """Return an execution context without activation memory, on the profile for `batch`."""
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

    def _refused(self, path: Path, refusal: AsyncbenchError | None) -> AsyncbenchError:
        what = f"TensorRT refused the engine {path.name}"
        if isinstance(refusal, DoesNotFitError):
            return DoesNotFitError(f"{what}: {refusal.message}", remedy=refusal.remedy, **refusal.facts)
        if refusal is not None:  # the device is lost, rather
            return refusal
        said = self.last_message()
        if tells_out_of_memory(said):
            return DoesNotFitError(f"{what}: {said}", remedy="free device memory")
        return BadInputError(f"{what}: {said}")

    def _on_message(self, severity: Severity, text: str) -> None:
        if severity is Severity.ERROR:
            self._messages[:] = [" ".join(text.split())]


def _spec(tensor: IoTensor) -> TensorSpec:
    return TensorSpec(name=tensor.name, item_shape=tensor.shape[1:], dtype=tensor.dtype)
