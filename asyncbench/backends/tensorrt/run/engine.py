"""The engine of the `tensorrt` backend: deserialized plans, lanes over them, one pump for all lanes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial

from asyncbench.backends.base import EngineFacts, EngineMemory, Lane, LaneFacts
from asyncbench.backends.lane_credits import credits_per_lane
from asyncbench.backends.lane_thread import MIN_CREDITS, ThreadLane, running
from asyncbench.backends.tensorrt.run.cuda_device import CudaDevice
from asyncbench.backends.tensorrt.run.gpu_lane import GpuLane
from asyncbench.backends.tensorrt.run.lane_pool import PAGE_BYTES, LanePool
from asyncbench.backends.tensorrt.run.loaded_plan import LoadedPlan
from asyncbench.backends.tensorrt.run.pump import (
    PumpLane,
    PumpReactor,
    open_empty_pump_lane,
    open_pump_lanes,
)
from asyncbench.backends.tensorrt.settings import LaneSettings
from asyncbench.clock import now_ns
from asyncbench.memory.forecast import MemoryForecast
from asyncbench.tensors import AnyArray

# What a context and a captured graph of a small network take beside their buffers: 1 to 2 MiB on an H200. The runner
# corrects it by what lanes really take.
LANE_OVERHEAD_BYTES = 2 << 20


class TensorRtEngine:
    """TensorRT engines of one request on one GPU; see `Engine` in backends.base.

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
        self._plans = plans
        self._plan_of = {batch: plan for plan in plans for batch in plan.shape.batches}
        self._settings = settings
        self._pool = LanePool(device, transfers=settings.transfers)
        self._open_count = 0

    def now_ns(self) -> int:
        """Return CLOCK_MONOTONIC, which the pump stamps with."""
        return now_ns()

    def forecast(self, *, batch: int, lanes: int) -> MemoryForecast:
        """Predict activations, inputs, outputs, and what a context and its graph take beside them.

        A batch that the engine was not opened for gets the activation memory of the next larger one that it was.
        """
        known = batch if batch in self._plan_of else min(each for each in self._plan_of if each > batch)
        plan = self._plan_of[known]
        io_bytes = [batch * spec.item_bytes() for spec in (*plan.inputs, *plan.outputs)]
        lane_bytes = LANE_OVERHEAD_BYTES + sum(
            map(paged_bytes, [self._pool.activation_sizes.of(plan, known), *io_bytes])
        )
        return MemoryForecast(device_bytes=lanes * lane_bytes, host_bytes=lanes * sum(io_bytes))

    async def read_memory(self) -> EngineMemory:
        """Ask the driver, and the own accounts; see `Engine.read_memory`."""
        free_bytes, total_bytes = await self._device.run(self._device.memory_bytes)
        return EngineMemory(
            free_bytes=free_bytes,
            total_bytes=total_bytes,
            engine_bytes=self._device.account.held_bytes - self._pool.allocated_bytes(),
            kept_bytes=self._pool.held_bytes(),
            open_bytes=self._pool.held_bytes(self._open_count),
            shared_with_host=self._device.shares_host_memory,
        )

    async def free_lanes(self) -> None:
        """Free the lanes that are kept; see `Engine.free_lanes`."""
        await self._device.run(self._pool.close)

    async def learn_activation_sizes(self) -> None:
        """Find out what a lane of each batch needs; before the first lane is opened."""
        for plan in self._plans:
            await self._device.run(partial(self._pool.activation_sizes.learn, plan))

    @asynccontextmanager
    async def open_lanes(
        self, *, batch: int, count: int, inputs: Mapping[str, AnyArray]
    ) -> AsyncIterator[Sequence[Lane]]:
        """Make lanes ready and hand them to the pump; see `Engine.open_lanes`."""
        plan = self._plan_of[batch]
        gpu_lanes = await self._device.run(lambda: self._pool.lanes(plan, batch=batch, count=count, inputs=inputs))
        reason = next((lane.graph_reason for lane in gpu_lanes if lane.graph is None), None)
        self.lane_facts = self._settings.facts(graph_reason=reason)
        self._open_count = count
        try:
            async with self._driven(gpu_lanes, reason) as lanes:
                yield lanes
        finally:
            self._open_count = 0

    @asynccontextmanager
    async def open_empty_lane(self) -> AsyncIterator[Lane]:
        """Let the pump drive a lane without device work; see `Engine.open_empty_lane`."""
        async with open_empty_pump_lane(self._reactor) as lane:
            yield lane

    def _driven(
        self, gpu_lanes: Sequence[GpuLane], graph_reason: str | None
    ) -> AbstractAsyncContextManager[Sequence[Lane]]:
        return self._pumped(gpu_lanes) if graph_reason is None else self._threaded(gpu_lanes)

    @asynccontextmanager
    async def _pumped(self, gpu_lanes: Sequence[GpuLane]) -> AsyncIterator[Sequence[Lane]]:
        lanes: Sequence[PumpLane] = ()
        try:
            async with open_pump_lanes(self._reactor, gpu_lanes, self._settings) as lanes:
                yield lanes
        finally:
            if any(lane.abandoned for lane in lanes):
                self._pool.forget()

    @asynccontextmanager
    async def _threaded(self, gpu_lanes: Sequence[GpuLane]) -> AsyncIterator[Sequence[Lane]]:
        """Without a graph there is nothing for the pump to launch: a thread enqueues and waits."""
        most = credits_per_lane(len(gpu_lanes), at_least=MIN_CREDITS)
        lanes = [ThreadLane(index=index, body=own, max_credits=most) for index, own in enumerate(gpu_lanes)]
        try:
            async with running(lanes):
                yield lanes
        finally:
            if any(lane.abandoned for lane in lanes):
                self._pool.forget()


def paged_bytes(size_bytes: int) -> int:
    """Return what an allocation takes of the device: CUDA gives away pages of 2 MiB, and small ones share a page."""
    return size_bytes if size_bytes < PAGE_BYTES // 2 else -(-size_bytes // PAGE_BYTES) * PAGE_BYTES
