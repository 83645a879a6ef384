"""Lanes kept from one cell to the next: a cell with one lane more builds one lane."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from asyncbench.backends.base import AnyArray
from asyncbench.backends.tensorrt.cuda_device import CudaDevice
from asyncbench.backends.tensorrt.gpu_lane import GpuLane
from asyncbench.backends.tensorrt.loaded_plan import LoadedPlan
from asyncbench.backends.tensorrt.scratch import ScratchSizes


class LanePool:
    """The lanes of one plan, one batch and one set of inputs. Blocking; on a thread with the device current."""

    def __init__(self, device: CudaDevice, *, transfers: bool) -> None:
        self.scratch = ScratchSizes(device)
        self._device = device
        self._transfers = transfers
        self._lanes: list[GpuLane] = []
        self._made_for: tuple[LoadedPlan, int, Mapping[str, AnyArray]] | None = None

    def lanes(self, plan: LoadedPlan, *, batch: int, count: int, inputs: Mapping[str, AnyArray]) -> Sequence[GpuLane]:
        """Return `count` lanes that are ready; those beyond are kept for a cell with more.

        Raises:
            DoesNotFitError: Memory was refused. The lanes that are there stay.
        """
        if not self._fits(plan, batch, inputs):
            self.close()
            self._made_for = (plan, batch, inputs)
        scratch_bytes = self.scratch.of(plan, batch, inputs)
        while len(self._lanes) < count:
            self._lanes.append(
                GpuLane(
                    self._device,
                    plan,
                    batch=batch,
                    scratch_bytes=scratch_bytes,
                    inputs=inputs,
                    transfers=self._transfers,
                )
            )
        return self._lanes[:count]

    def forget(self) -> None:
        """Drop the lanes without freeing anything: one of them may still be written to."""
        self._lanes = []
        self._made_for = None

    def close(self) -> None:
        """Free all lanes; nothing may be in flight."""
        while self._lanes:
            self._lanes.pop().close()
        self._made_for = None

    def _fits(self, plan: LoadedPlan, batch: int, inputs: Mapping[str, AnyArray]) -> bool:
        if self._made_for is None:
            return False
        made_plan, made_batch, made_inputs = self._made_for
        return made_plan is plan and made_batch == batch and made_inputs is inputs
