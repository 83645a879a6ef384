"""Stream, context, memory and graph of one inference in flight, made ready to be replayed."""

from __future__ import annotations

from collections.abc import Mapping

from asyncbench.backends.tensorrt.bindings.protocols import IExecutionContext
from asyncbench.backends.tensorrt.run.cuda_device import CudaDevice, CudaGraph
from asyncbench.backends.tensorrt.run.lane_memory import LaneMemory
from asyncbench.backends.tensorrt.run.loaded_plan import LoadedPlan
from asyncbench.errors import AsyncbenchError, DeviceLostError, LaneError
from asyncbench.tensors import AnyArray


class GpuLane:
    """An execution context, its streams, its memory and its captured graph, for one batch.

    A `GraphBody`, and where there is no graph a `RunnableBody`.
    Blocking calls are for a thread with the device current. Nothing may be in flight when it is closed.

    Args:
        activation_bytes: Device memory of the execution context at this batch.
        transfers: Whether the copies of inputs and outputs are part of an inference.

    Raises:
        DoesNotFitError: Memory was refused; nothing is held.
        LaneError: TensorRT or CUDA refused something; nothing is held.
    """

    def __init__(
        self,
        device: CudaDevice,
        plan: LoadedPlan,
        *,
        batch: int,
        activation_bytes: int,
        inputs: Mapping[str, AnyArray],
        transfers: bool,
    ) -> None:
        self._device = device
        self._plan = plan
        self._batch = batch
        self._activation_bytes = activation_bytes
        self._first_inputs = inputs
        self._transfers = transfers
        self._streams: list[int] = []
        self._memory: LaneMemory | None = None
        self._exec_context: IExecutionContext | None = None
        self.graph: CudaGraph | None = None
        self.graph_reason: str | None = None
        self.open()

    @property
    def is_open(self) -> bool:
        """True while it holds its memory."""
        return self._memory is not None

    @property
    def graph_exec(self) -> int:
        """The captured graph, for the pump.

        Raises:
            LaneError: It could not be captured.
        """
        if self.graph is None:
            raise LaneError(f"there is no graph: {self.graph_reason}")
        return self.graph.exec_address

    @property
    def stream(self) -> int:
        """The stream that inferences of this lane are launched on."""
        return self._streams[0]

    @property
    def memory(self) -> LaneMemory:
        """Its memory, while it is open."""
        if self._memory is None:
            raise LaneError("the lane is closed")
        return self._memory

    def run(self) -> None:
        """Run one inference without the graph and wait for it. On any thread."""
        self._device.activate()
        self._enqueue()
        self._device.synchronize(self.stream)

    def read_outputs(self) -> Mapping[str, AnyArray]:
        """Return copies of the outputs of the last inference, each `(batch, …)`."""
        for tensor in self.memory.outputs:
            tensor.to_host(self.stream)
        self._device.synchronize(self.stream)
        return {tensor.name: tensor.host.copy() for tensor in self.memory.outputs}

    def write_inputs(self, inputs: Mapping[str, AnyArray]) -> None:
        """Replace the inputs and wait until they are on the device. On any thread."""
        self._device.activate()
        self.memory.fill_inputs(inputs, self.stream)
        self._device.synchronize(self.stream)

    def explain(self, _error: Exception) -> AsyncbenchError | None:
        """Know nothing beyond the error itself."""
        return None

    async def free_memory(self) -> None:
        """Close it on a thread of its own."""
        await self._device.run(self.close)

    async def take_memory(self) -> None:
        """Open it again on a thread of its own: another context, another graph.

        Raises:
            DoesNotFitError: Memory was refused; nothing is held.
        """
        await self._device.run(self.open)

    def open(self) -> None:
        """Make it ready; see the class."""
        try:
            self._prepare(self._batch, self._activation_bytes, self._first_inputs)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Free everything, the graph before what it refers to."""
        if self.graph is not None:
            self.graph.destroy()
            self.graph = None
        self._exec_context = None
        if self._memory is not None:
            self._memory.free()
            self._memory = None
        while self._streams:
            self._device.destroy_stream(self._streams.pop())

    def _prepare(self, batch: int, activation_bytes: int, inputs: Mapping[str, AnyArray]) -> None:
        plan, device = self._plan, self._device
        self._streams = [device.create_stream()]
        self._exec_context = exec_context = plan.create_context(batch, self.stream)
        self._streams += [device.create_stream() for _ in range(plan.engine.num_aux_streams)]
        if len(self._streams) > 1:
            exec_context.set_aux_streams(self._streams[1:])
        plan.set_batch(exec_context, batch)
        self._memory = memory = LaneMemory(
            device, batch=batch, inputs=plan.inputs, outputs=plan.outputs, activation_bytes=activation_bytes
        )
        plan.bindings.set_activation(exec_context, address=memory.activation_address, size_bytes=activation_bytes)
        for tensor in (*memory.inputs, *memory.outputs):
            exec_context.set_tensor_address(tensor.name, tensor.address)
        memory.fill_inputs(inputs, self.stream)
        # Once outside of a capture: TensorRT initializes what cannot be captured in its first inference.
        self.run()
        self._capture()

    def _capture(self) -> None:
        try:
            self.graph = self._device.capture(self.stream, self._enqueue)
        except DeviceLostError:
            raise
        except LaneError as error:
            self.graph_reason = error.message

    def _enqueue(self) -> None:
        """Put one inference into the stream."""
        if self._transfers:
            for tensor in self.memory.inputs:
                tensor.to_device(self.stream)
        if self._exec_context is None or not self._exec_context.execute_async_v3(self.stream):
            raise LaneError(f"TensorRT could not enqueue an inference: {self._plan.last_message()}")
        if self._transfers:
            for tensor in self.memory.outputs:
                tensor.to_host(self.stream)
