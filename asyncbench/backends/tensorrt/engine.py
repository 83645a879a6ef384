"""The engine of the `tensorrt` backend: deserialized plans, lanes over them, one pump for all lanes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager

from asyncbench.backends.base import AnyArray, EngineFacts, Lane, LaneFacts, MemoryForecast
from asyncbench.backends.lane_thread import ThreadLane, running
from asyncbench.backends.tensorrt.cuda_device import CudaDevice
from asyncbench.backends.tensorrt.gpu_lane import GpuLane
from asyncbench.backends.tensorrt.lane_pool import LanePool
from asyncbench.backends.tensorrt.loaded_plan import LoadedPlan
from asyncbench.backends.tensorrt.pump import (
    PumpLane,
    PumpReactor,
    PumpSource,
    open_empty_pump_lane,
    open_pump_lanes,
)
from asyncbench.backends.tensorrt.settings import LaneSettings
from asyncbench.clock import now_ns


class TensorRtEngine:
    """See `Engine` in backends.base.

    Args:
        plans: In the order of their batches; each batch of the sweep is in exactly one.
    """

    def __init__(
        self,
        device: CudaDevice,
        reactor: PumpReactor,
        plans: Sequence[LoadedPlan],
        *,
        facts: EngineFacts,
        settings: LaneSettings,
    ) -> None:
        self.facts = facts
        self.lane_facts = LaneFacts()
        self._device = device
        self._reactor = reactor
        self._plan_of = {batch: plan for plan in plans for batch in plan.shape.batches}
        self._settings = settings
        self._pool = LanePool(device, transfers=settings.transfers)

    def now_ns(self) -> int:
        """Return CLOCK_MONOTONIC, which the pump stamps with."""
        return now_ns()

    def forecast(self, *, batch: int, lanes: int) -> MemoryForecast:
        """Predict scratch, inputs and outputs. Graphs and the contexts' own memory are not in it."""
        plan = self._plan_of[batch]
        io_bytes = batch * sum(spec.item_bytes() for spec in (*plan.inputs, *plan.outputs))
        scratch_bytes = self._pool.scratch.upper_bound(plan, batch)
        return MemoryForecast(device_bytes=lanes * (scratch_bytes + io_bytes), host_bytes=lanes * io_bytes)

    @asynccontextmanager
    async def open_lanes(
        self, *, batch: int, count: int, inputs: Mapping[str, AnyArray]
    ) -> AsyncIterator[Sequence[Lane]]:
        """Make lanes ready and hand them to the pump; see `Engine.open_lanes`."""
        plan = self._plan_of[batch]
        gpu_lanes = await self._device.run(lambda: self._pool.lanes(plan, batch=batch, count=count, inputs=inputs))
        reason = next((lane.graph_reason for lane in gpu_lanes if lane.graph is None), None)
        self.lane_facts = self._settings.facts(graph_reason=reason)
        if reason is None:
            async with self._pumped(gpu_lanes) as lanes:
                yield lanes
        else:
            async with self._threaded(gpu_lanes) as lanes:
                yield lanes

    @asynccontextmanager
    async def open_empty_lane(self) -> AsyncIterator[Lane]:
        """Let the pump drive a lane without device work; see `Engine.open_empty_lane`."""
        async with open_empty_pump_lane(self._reactor) as lane:
            yield lane

    async def close(self) -> None:
        """Free the lanes; none may be open."""
        await self._device.run(self._pool.close)

    @asynccontextmanager
    async def _pumped(self, gpu_lanes: Sequence[GpuLane]) -> AsyncIterator[Sequence[Lane]]:
        sources = [
            PumpSource(
                stream=own.stream,
                graph_exec=own.graph.exec_address if own.graph else 0,
                read_outputs=own.read_outputs,
            )
            for own in gpu_lanes
        ]
        lanes: Sequence[PumpLane] = ()
        try:
            async with open_pump_lanes(
                self._reactor,
                sources,
                depth=self._settings.depth,
                gpu_time=self._settings.gpu_time,
                deadline_ns=self._settings.deadline_ns,
            ) as lanes:
                yield lanes
        finally:
            if any(lane.abandoned for lane in lanes):
                self._pool.forget()

    @asynccontextmanager
    async def _threaded(self, gpu_lanes: Sequence[GpuLane]) -> AsyncIterator[Sequence[Lane]]:
        """Without a graph there is nothing for the pump to launch: a thread enqueues and waits."""
        lanes = [
            ThreadLane(index=index, run=_OnDevice(self._device, own), read_outputs=own.read_outputs)
            for index, own in enumerate(gpu_lanes)
        ]
        try:
            async with running(lanes):
                yield lanes
        finally:
            if any(lane.abandoned for lane in lanes):
                self._pool.forget()


class _OnDevice:
    """Runs a lane's inferences on a thread that makes the device current at its first."""

    def __init__(self, device: CudaDevice, lane: GpuLane) -> None:
        self._device = device
        self._lane = lane
        self._active = False

    def __call__(self) -> None:
        if not self._active:
            self._device.activate()
            self._active = True
        self._lane.run()
