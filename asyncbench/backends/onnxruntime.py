"""The `onnxruntime` backend: one session on the CPU, shared by lanes that each have a thread and bound buffers."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager

import onnxruntime as ort
import trio

from asyncbench.backends.base import AnyArray, EngineFacts, EngineRequest, Lane, LaneFacts, MemoryForecast
from asyncbench.backends.draining import DRAIN_LIMIT_S
from asyncbench.backends.lane_thread import ThreadLane, running
from asyncbench.backends.onnxruntime_buffers import LaneBuffers
from asyncbench.backends.onnxruntime_session import LoadedModel, load_model, shrink_arena
from asyncbench.clock import now_ns
from asyncbench.errors import BackendUnavailableError, DoesNotFitError
from asyncbench.sweep.cell import Precision
from asyncbench.telemetry.host import cpu_name

DEVICE = "cpu"
_ARENA_GROWTH = 2  # the arena asks the system for powers of two: up to twice what the activations need


class OnnxRuntimeBackend:
    """ONNX Runtime on the CPU, in fp32.

    Args:
        intra_op_threads: Threads of one inference. With 1 an inference runs wholly on the thread of its lane, so `c`
            in flight use `c` threads, and concurrency means what it says. With more, all lanes share one pool of
            `intra_op_threads - 1` threads beside their own: latency of a single inference falls, and lanes wait for
            each other inside the runtime where no stamp can see it.
    """

    name = "onnxruntime"

    def __init__(self, intra_op_threads: int = 1) -> None:
        self._intra_op_threads = intra_op_threads

    @asynccontextmanager
    async def open_engine(self, request: EngineRequest) -> AsyncIterator[OnnxRuntimeEngine]:
        """Create the session on a thread and run it once; see `Backend.open_engine`."""
        if request.device not in ("auto", DEVICE):
            raise BackendUnavailableError(
                f"onnxruntime runs on the CPU here, --device {request.device!r} was asked for",
                remedy="use --device cpu, or --backend tensorrt",
            )
        if request.precision is not Precision.FP32:
            raise BackendUnavailableError(
                f"onnxruntime runs a model in the precision of its file, {request.precision} was asked for",
                remedy="use --precision fp32, or --backend tensorrt",
            )
        model = await trio.to_thread.run_sync(
            lambda: load_model(request.model_path, batches=request.batches, intra_op_threads=self._intra_op_threads)
        )
        yield OnnxRuntimeEngine(model, facts=self._facts(model))

    def _facts(self, model: LoadedModel) -> EngineFacts:
        return EngineFacts(
            backend=self.name,
            backend_version=ort.__version__,
            device=DEVICE,
            device_name=cpu_name(),
            engine_hash=model.model_hash,
            load_ns=model.load_ns,
            inputs=model.inputs,
            outputs=model.outputs,
            extra={
                "execution_provider": "CPUExecutionProvider",
                "intra_op_threads": self._intra_op_threads,
                "inter_op_threads": 1,
                "intra_op_spinning": False,
                "cpu_arena": True,
            },
        )


class OnnxRuntimeEngine:
    """A session; see `Engine` in backends.base."""

    def __init__(self, model: LoadedModel, *, facts: EngineFacts) -> None:
        self.facts = facts
        self.lane_facts = LaneFacts()
        self._model = model

    def now_ns(self) -> int:
        """Return CLOCK_MONOTONIC, which the lanes stamp with."""
        return now_ns()

    def forecast(self, *, batch: int, lanes: int) -> MemoryForecast:
        """Predict the host memory of a cell; a CPU has no other.

        Inputs and outputs are known. Activations are what the first inference added to the resident memory, per
        item, but never below twice the input and output: the runtime does not tell. All of them are doubled for the
        arena's growth, so the figure is an upper bound: MobileNet v1 took 6 to 13 MB an item where 15 were predicted.
        """
        model = self._model
        io_bytes = sum(spec.item_bytes() for spec in (*model.inputs, *model.outputs))
        item_bytes = io_bytes + _ARENA_GROWTH * max(model.activation_bytes, 2 * io_bytes)
        return MemoryForecast(device_bytes=0, host_bytes=lanes * batch * item_bytes)

    @asynccontextmanager
    async def open_lanes(
        self, *, batch: int, count: int, inputs: Mapping[str, AnyArray]
    ) -> AsyncIterator[Sequence[Lane]]:
        """Bind buffers and start a thread for each lane; see `Engine.open_lanes`."""
        buffers = await trio.to_thread.run_sync(self._allocate, batch, count, inputs)
        lanes = [
            ThreadLane(index=index, run=own.run, read_outputs=own.read_outputs) for index, own in enumerate(buffers)
        ]
        try:
            async with running(lanes):
                yield lanes
        finally:
            # Shielded, so that an interrupted cell leaves no more behind than any other; it lasts one inference.
            if not any(lane.abandoned for lane in lanes):
                with trio.move_on_after(DRAIN_LIMIT_S, shield=True):
                    await trio.to_thread.run_sync(shrink_arena, self._model, abandon_on_cancel=True)

    @asynccontextmanager
    async def open_empty_lane(self) -> AsyncIterator[Lane]:
        """Start a lane that is like any other but for the inference; see `Engine.open_empty_lane`."""
        lane = ThreadLane(index=0, run=lambda: None, read_outputs=dict)
        async with running([lane]):
            yield lane

    def _allocate(self, batch: int, count: int, inputs: Mapping[str, AnyArray]) -> list[LaneBuffers]:
        try:
            return [LaneBuffers(self._model, batch=batch, inputs=inputs) for _ in range(count)]
        except MemoryError as error:
            requested_bytes = self.forecast(batch=batch, lanes=count).host_bytes
            raise DoesNotFitError(
                f"{count} lanes of batch {batch} were refused host memory: {error}",
                remedy="lower --batch or --concurrency",
                requested_bytes=requested_bytes,
            ) from error
