"""The `simulated` backend: a device with a programmable service time, memory and faults, on Trio's clock."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from itertools import repeat

import numpy as np
import numpy.typing as npt
import trio

from asyncbench import __version__
from asyncbench.backends.base import Backend, EngineFacts, EngineMemory, EngineRequest, Lane, LaneFacts, Report
from asyncbench.backends.draining import drained
from asyncbench.backends.simulated.device import FaultPlan, LaneQueue, SimulatedDevice
from asyncbench.backends.simulated.lane import SimulatedLane, ring_for, trio_now_ns
from asyncbench.backends.simulated.service import median_service_ns, service_times_ns
from asyncbench.backends.simulated.spec import SimulatedSpec, spec_of
from asyncbench.clock import NS_PER_S, NS_PER_US
from asyncbench.memory.forecast import MemoryForecast
from asyncbench.sweep.backends.simulated import SIMULATED, SimulatedOptions
from asyncbench.sweep.config import SweepConfig
from asyncbench.tensors import AnyArray, TensorSpec
from asyncbench.units import counted

Float32Array = npt.NDArray[np.float32]

INPUT = TensorSpec(name="input", item_shape=(3, 224, 224), dtype="float32")
OUTPUT = TensorSpec(name="output", item_shape=(1000,), dtype="float32")
_EMPTY_NS = NS_PER_US
"""An empty inference cannot take nothing: on a mocked clock, a loop of them would never see time pass."""


def make_backend(options: SimulatedOptions, *, config: SweepConfig, report: Report) -> Backend:  # noqa: ARG001
    """Return the backend; see `BackendFactory`."""
    return SimulatedBackend(spec_of(options, seed=config.seed))


class SimulatedBackend:
    """A device that exists only on Trio's clock. The model file is not opened, so it need not exist."""

    name = SIMULATED.name

    def __init__(self, spec: SimulatedSpec) -> None:
        self._spec = spec

    @asynccontextmanager
    async def open_engine(self, request: EngineRequest) -> AsyncIterator[SimulatedEngine]:
        """Take the engine's memory of a new device; see `Backend.open_engine`.

        Raises:
            DoesNotFitError: The device has less than the engine needs.
        """
        await trio.sleep(self._spec.open_ns / NS_PER_S)
        device = SimulatedDevice(slots=self._spec.slots, memory_bytes=self._spec.memory_bytes)
        device.reserve(self._spec.engine_bytes, "the engine")
        yield SimulatedEngine(self._spec, device, facts=self._facts(request))

    def _facts(self, request: EngineRequest) -> EngineFacts:
        return EngineFacts(
            backend=self.name,
            backend_version=__version__,
            device=request.device,
            device_name=f"simulated device with {self._spec.slots} slots",
            engine_hash=hashlib.sha256(repr(self._spec).encode()).hexdigest(),
            load_ns=0,
            inputs=(INPUT,),
            outputs=(OUTPUT,),
            extra={"slots": self._spec.slots, "service": self._spec.service.kind.value, "seed": self._spec.seed},
        )


class SimulatedEngine:
    """A network that nobody has; see `Engine` in backends.base.

    Attributes:
        device: What it runs on; whoever takes memory of that takes it from the lanes.
    """

    def __init__(self, spec: SimulatedSpec, device: SimulatedDevice, *, facts: EngineFacts) -> None:
        self.facts = facts
        self.lane_facts = LaneFacts()
        self._spec = spec
        self.device = device

    def now_ns(self) -> int:
        """Return Trio's clock, which the lanes stamp with."""
        return trio_now_ns()

    def forecast(self, *, batch: int, lanes: int) -> MemoryForecast:
        """Return what the lanes will take, to the byte."""
        return MemoryForecast(device_bytes=lanes * self._lane_bytes(batch), host_bytes=0)

    async def read_memory(self) -> EngineMemory:
        """Return what is left of the simulated memory."""
        await trio.lowlevel.checkpoint()
        return EngineMemory(
            free_bytes=self.device.free_bytes,
            total_bytes=self._spec.memory_bytes,
            engine_bytes=self._spec.engine_bytes,
            kept_bytes=self._open_bytes(),
            open_bytes=self._open_bytes(),
        )

    async def free_lanes(self) -> None:
        """Do nothing: no lane is kept."""
        await trio.lowlevel.checkpoint()

    @asynccontextmanager
    async def open_lanes(
        self, *, batch: int, count: int, inputs: Mapping[str, AnyArray]
    ) -> AsyncIterator[Sequence[Lane]]:
        """Take device memory for the lanes; see `Engine.open_lanes`. One copy of the inputs serves them all."""
        await trio.lowlevel.checkpoint()
        self.device.reserve(count * self._lane_bytes(batch), f"{counted(count, 'lane')} of batch {batch}")
        _check_shape(inputs[INPUT.name], batch=batch)
        faults = FaultPlan(self._spec.faults, batch=batch, lanes=count)
        outputs = _outputs_of(inputs)
        lanes = [self._lane(index, batch=batch, lanes=count, faults=faults, outputs=outputs) for index in range(count)]
        try:
            async with drained(lanes):
                yield lanes
        finally:
            freed = sum(lane.has_memory and not lane.abandoned for lane in lanes)
            self.device.free_bytes += freed * self._lane_bytes(batch)

    @asynccontextmanager
    async def open_empty_lane(self) -> AsyncIterator[Lane]:
        """Build a lane on a device of its own, whose inferences take 1 µs of the clock."""
        await trio.lowlevel.checkpoint()
        queue = LaneQueue(
            index=0,
            ring=ring_for(_EMPTY_NS),
            service_times_ns=repeat(_EMPTY_NS),
            faults=FaultPlan((), batch=1, lanes=1),
        )
        device = SimulatedDevice(slots=1, memory_bytes=0)
        lane = SimulatedLane(device, queue, median_ns=_EMPTY_NS, memory_bytes=0, compute=lambda _: {}, outputs={})
        async with drained([lane]):
            yield lane

    def _open_bytes(self) -> int:
        return self._spec.memory_bytes - self._spec.engine_bytes - self.device.free_bytes

    def _lane_bytes(self, batch: int) -> int:
        return self._spec.lane_bytes + batch * self._spec.item_bytes

    def _lane(
        self, index: int, *, batch: int, lanes: int, faults: FaultPlan, outputs: Mapping[str, AnyArray]
    ) -> SimulatedLane:
        median_ns = median_service_ns(self._spec.service, batch=batch)
        queue = LaneQueue(
            index=index,
            ring=ring_for(median_ns),
            service_times_ns=service_times_ns(self._spec, batch=batch, lanes=lanes, lane=index),
            faults=faults,
        )
        return SimulatedLane(
            self.device,
            queue,
            median_ns=median_ns,
            memory_bytes=self._lane_bytes(batch),
            compute=_outputs_of,
            outputs=outputs,
            wrong_from=self._spec.wrong_outputs_from if index == self._spec.wrong_outputs_lane else None,
        )


def _check_shape(inputs: AnyArray, *, batch: int) -> None:
    wanted = (batch, *INPUT.item_shape)
    if inputs.shape != wanted:
        message = f"input {INPUT.name!r} has the shape {inputs.shape}, the lane needs {wanted}"
        raise ValueError(message)


def _outputs_of(inputs: Mapping[str, AnyArray]) -> Mapping[str, AnyArray]:
    """Return `(batch, 1000)` float32 that differ when an item does: some of its values, raised by their mean."""
    flat: Float32Array = np.asarray(inputs[INPUT.name], np.float32)
    flat = flat.reshape(len(flat), -1)
    classes = OUTPUT.item_shape[0]
    step = flat.shape[1] // classes
    outputs: Float32Array = flat[:, : step * classes : step] + flat.mean(axis=1, keepdims=True)
    return {OUTPUT.name: outputs}
