"""The `onnxruntime` backend: one session on the CPU, shared by lanes that each have a thread and bound buffers."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import onnxruntime as ort
import trio

from asyncbench.accuracy.calibration.calibration_file import read_calibration, require_calibration
from asyncbench.accuracy.calibration.quantized_graph import write_quantized_model
from asyncbench.backends.base import Backend, EngineFacts, EngineMemory, EngineRequest, Lane, LaneFacts, Report
from asyncbench.backends.draining import DRAIN_LIMIT_S
from asyncbench.backends.lane_body import EmptyBody
from asyncbench.backends.lane_credits import credits_per_lane
from asyncbench.backends.lane_thread import MIN_CREDITS, ThreadLane, running
from asyncbench.backends.onnx_runtime.buffers import LaneBuffers
from asyncbench.backends.onnx_runtime.session import LoadedModel, load_model, shrink_arena
from asyncbench.clock import now_ns
from asyncbench.conditions.host import cpu_name
from asyncbench.errors import BackendUnavailableError
from asyncbench.files.whole_file import create_folder
from asyncbench.memory.forecast import MemoryForecast
from asyncbench.models.model_hash import model_sha256
from asyncbench.places import cache_folder
from asyncbench.sweep.backends.onnxruntime import ONNXRUNTIME, OnnxRuntimeOptions
from asyncbench.sweep.cell import Precision
from asyncbench.sweep.config import SweepConfig
from asyncbench.tensors import AnyArray

DEVICE = "cpu"
_ARENA_GROWTH = 2  # the arena asks the system for powers of two: up to twice what the activations need


def make_backend(options: OnnxRuntimeOptions, *, config: SweepConfig, report: Report) -> Backend:  # noqa: ARG001
    """Return the backend; see `BackendFactory`."""
    return OnnxRuntimeBackend(options.intra_op_threads, quantized_folder=cache_folder() / "quantized")


class OnnxRuntimeBackend:
    """ONNX Runtime on the CPU, in the precision of the file, or in int8 with a calibration.

    Args:
        quantized_folder: Where int8 networks are written; None where there is no need for any.
        intra_op_threads: Threads of one inference. With 1 an inference runs wholly on the thread of its lane, so `c`
            in flight use `c` threads, and concurrency means what it says. With more, all lanes share one pool of
            `intra_op_threads - 1` threads beside their own: latency of a single inference falls, and lanes wait for
            each other inside the runtime where no stamp can see it.
    """

    name = ONNXRUNTIME.name

    def __init__(self, intra_op_threads: int = 1, *, quantized_folder: Path | None = None) -> None:
        self._intra_op_threads = intra_op_threads
        self._quantized_folder = quantized_folder

    @asynccontextmanager
    async def open_engine(self, request: EngineRequest) -> AsyncIterator[OnnxRuntimeEngine]:
        """Create the session on a thread and run it once; see `Backend.open_engine`."""
        if request.device not in ("auto", DEVICE):
            raise BackendUnavailableError(
                f"onnxruntime runs on the CPU here, --device {request.device!r} was asked for",
                remedy="use --device cpu, or --backend tensorrt",
            )
        is_in_file = (request.graph_precision or "").split(" ")[0] == request.precision
        if request.precision is not Precision.FP32 and request.calibration_path is None and not is_in_file:
            raise BackendUnavailableError(
                f"onnxruntime runs a model in the precision of its file, {request.precision} was asked for",
                remedy="use --precision fp32, int8 with --calibration, or --backend tensorrt",
            )
        model = await trio.to_thread.run_sync(self._load, request)
        yield OnnxRuntimeEngine(model, facts=self._facts(model))

    def _load(self, request: EngineRequest) -> LoadedModel:
        path, model_hash = request.model_path, request.model_hash
        if request.calibration_path is not None:
            path, model_hash = self._quantized(path, request.calibration_path), None
        return load_model(path, batches=request.batches, intra_op_threads=self._intra_op_threads, model_hash=model_hash)

    def _quantized(self, path: Path, calibration_path: Path) -> Path:
        if self._quantized_folder is None:
            raise BackendUnavailableError("int8 networks have no folder here", remedy="use --precision fp32")
        require_calibration(calibration_path)
        create_folder(self._quantized_folder)
        table = read_calibration(calibration_path)
        key = model_sha256(path, beside=(calibration_path,))[:32]
        quantized = self._quantized_folder / f"{path.stem}-{key}.onnx"
        write_quantized_model(path, table, quantized, source=str(calibration_path))
        return quantized

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
    """A session; see `Engine` in backends.base.

    Attributes:
        model: The session that all lanes run, and what a bare loop runs beside them.
    """

    def __init__(self, model: LoadedModel, *, facts: EngineFacts) -> None:
        self.facts = facts
        self.lane_facts = LaneFacts()
        self.model = model

    def now_ns(self) -> int:
        """Return CLOCK_MONOTONIC, which the lanes stamp with."""
        return now_ns()

    def forecast(self, *, batch: int, lanes: int) -> MemoryForecast:
        """Predict the host memory of a cell; a CPU has no other.

        Inputs and outputs are known. Activations are what the first inference added to the resident memory, per
        item, but never below twice the input and output: the runtime does not tell. All of them are doubled for the
        arena's growth, so the figure is an upper bound: MobileNet v1 took 6 to 13 MB an item where 15 were predicted.
        """
        model = self.model
        io_bytes = sum(spec.item_bytes() for spec in (*model.inputs, *model.outputs))
        item_bytes = io_bytes + _ARENA_GROWTH * max(model.activation_bytes, 2 * io_bytes)
        return MemoryForecast(device_bytes=0, host_bytes=lanes * batch * item_bytes)

    async def read_memory(self) -> EngineMemory:
        """Return that there is no device; what the host has is not the engine's to say."""
        await trio.lowlevel.checkpoint()
        return EngineMemory()

    async def free_lanes(self) -> None:
        """Do nothing: no lane is kept."""
        await trio.lowlevel.checkpoint()

    @asynccontextmanager
    async def open_lanes(
        self, *, batch: int, count: int, inputs: Mapping[str, AnyArray]
    ) -> AsyncIterator[Sequence[Lane]]:
        """Bind buffers and start a thread for each lane; see `Engine.open_lanes`."""
        buffers = await trio.to_thread.run_sync(self._allocate, batch, count, inputs)
        most = credits_per_lane(count, at_least=MIN_CREDITS)
        lanes = [ThreadLane(index=index, body=own, max_credits=most) for index, own in enumerate(buffers)]
        try:
            async with running(lanes):
                yield lanes
        finally:
            # Shielded, so that an interrupted cell leaves no more behind than any other; it lasts one inference.
            if not any(lane.abandoned for lane in lanes):
                with trio.move_on_after(DRAIN_LIMIT_S, shield=True):
                    await trio.to_thread.run_sync(shrink_arena, self.model, abandon_on_cancel=True)

    @asynccontextmanager
    async def open_empty_lane(self) -> AsyncIterator[Lane]:
        """Start a lane that is like any other but for the inference; see `Engine.open_empty_lane`."""
        lane = ThreadLane(index=0, body=EmptyBody(), max_credits=credits_per_lane(1, at_least=MIN_CREDITS))
        async with running([lane]):
            yield lane

    def _allocate(self, batch: int, count: int, inputs: Mapping[str, AnyArray]) -> list[LaneBuffers]:
        return [LaneBuffers(self.model, batch=batch, inputs=inputs) for _ in range(count)]
