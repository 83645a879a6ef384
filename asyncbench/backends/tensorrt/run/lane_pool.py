"""Lanes kept from one cell to the next: a cell with one lane more builds one lane."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from asyncbench.backends.tensorrt.run.activation_memory import ActivationSizes
from asyncbench.backends.tensorrt.run.cuda_device import CudaDevice
from asyncbench.backends.tensorrt.run.gpu_lane import GpuLane
from asyncbench.backends.tensorrt.run.loaded_plan import LoadedPlan
from asyncbench.tensors import AnyArray

# What a lane may take beside its allocations: context, graph, streams, what pages round up, and modules that are loaded
# with the first lane of a batch. An H200 shows 2 to 10 MiB, and some tens for a first lane. What falls beyond this was
# another process; a lane that really takes more is refused memory one day, and the forecast learns from that.
LANE_MARGIN_BYTES = 64 << 20
PAGE_BYTES = 2 << 20


class LanePool:
    """The lanes of one plan, one batch and one set of inputs. Blocking; on a thread with the device current."""

    def __init__(self, device: CudaDevice, *, transfers: bool) -> None:
        self.activation_sizes = ActivationSizes(device)
        self._device = device
        self._transfers = transfers
        self._lanes: list[GpuLane] = []
        # What each lane took when it was built, contexts, graphs and page sizes included; see `taken_bytes`.
        self._taken_bytes: dict[GpuLane, int] = {}
        self._made_for: tuple[LoadedPlan, int, Mapping[str, AnyArray]] | None = None

    def lanes(self, plan: LoadedPlan, *, batch: int, count: int, inputs: Mapping[str, AnyArray]) -> Sequence[GpuLane]:
        """Return `count` lanes that are ready; those beyond are kept for a cell with more.

        Raises:
            DoesNotFitError: Memory was refused. The lanes that are there stay.
        """
        if not self._fits(plan, batch, inputs):
            self.close()
            self._made_for = (plan, batch, inputs)
        # A lane whose memory was freed under pressure has nothing that could be used again.
        self._lanes = [lane for lane in self._lanes if lane.is_open]
        activation_bytes = self.activation_sizes.of(plan, batch)
        while len(self._lanes) < count:
            self._lanes.append(self._build(plan, batch, activation_bytes, inputs))
        return self._lanes[:count]

    def held_bytes(self, count: int | None = None) -> int:
        """Return what the first `count` lanes hold, or all."""
        return sum(self._taken_bytes[lane] for lane in self._lanes[:count] if lane.is_open)

    def allocated_bytes(self) -> int:
        """Return what all lanes have allocated themselves: less than they hold."""
        return sum(lane.memory.device_bytes for lane in self._lanes if lane.is_open)

    def forget(self) -> None:
        """Drop the lanes without freeing anything: one of them may still be written to."""
        self._lanes = []
        self._taken_bytes.clear()
        self._made_for = None

    def close(self) -> None:
        """Free all lanes; nothing may be in flight."""
        while self._lanes:
            self._lanes.pop().close()
        self._taken_bytes.clear()
        self._made_for = None

    def _build(self, plan: LoadedPlan, batch: int, activation_bytes: int, inputs: Mapping[str, AnyArray]) -> GpuLane:
        free_before_bytes, _ = self._device.memory_bytes()
        lane = GpuLane(
            self._device, plan, batch=batch, activation_bytes=activation_bytes, inputs=inputs, transfers=self._transfers
        )
        free_after_bytes, _ = self._device.memory_bytes()
        self._taken_bytes[lane] = taken_bytes(free_before_bytes - free_after_bytes, _allocations(lane))
        return lane

    def _fits(self, plan: LoadedPlan, batch: int, inputs: Mapping[str, AnyArray]) -> bool:
        if self._made_for is None:
            return False
        made_plan, made_batch, made_inputs = self._made_for
        return made_plan is plan and made_batch == batch and made_inputs is inputs


def taken_bytes(fall_bytes: int, allocations: Iterable[int]) -> int:
    """Return what a lane took while the free memory of the whole device fell by `fall_bytes`, perhaps below zero.

    Other processes take memory and let go of it meanwhile, so the fall counts only within what a lane can take.

    Args:
        allocations: The lane's own, each in bytes.
    """
    sizes_bytes = list(allocations)
    # Only what fills a page is sure to show: smaller ones may lie in what is left of pages that are counted already.
    min_bytes = sum(size_bytes for size_bytes in sizes_bytes if size_bytes >= PAGE_BYTES)
    return min(max(fall_bytes, min_bytes), sum(sizes_bytes) + LANE_MARGIN_BYTES)


def _allocations(lane: GpuLane) -> list[int]:
    memory = lane.memory
    return [memory.activation_bytes, *(tensor.size_bytes for tensor in (*memory.inputs, *memory.outputs))]
