"""Activation memory of a lane (TensorRT's "device memory" of a context): what it really needs at one batch."""

from __future__ import annotations

from contextlib import suppress

import numpy as np

from asyncbench.backends.tensorrt.run.cuda_device import CudaDevice
from asyncbench.backends.tensorrt.run.gpu_lane import GpuLane
from asyncbench.backends.tensorrt.run.loaded_plan import LoadedPlan
from asyncbench.errors import DoesNotFitError

# Two patterns with no byte in common: what is overwritten with one of them shows under the other.
_PATTERNS = (0xA5, 0x5A)
_CHUNK_BYTES = 8 << 20
_ALIGNMENT_BYTES = 256


class ActivationSizes:
    """Activation bytes by plan and batch, asked of TensorRT once, or measured where it cannot tell.

    TensorRT 10 and later say what the shapes that are set need. 8.6 only knows what the largest batch of all profiles
    needs; there, the first lane of a batch gets all of it, filled with a pattern, and what its inference has written
    up to is what every lane of that batch needs. Outputs of all lanes are compared after each cell, so that a lane
    that writes beyond its own memory does not go unseen.

    Blocking; on a thread with the device current.
    """

    def __init__(self, device: CudaDevice) -> None:
        self._device = device
        self._known: dict[tuple[int, int], int] = {}

    def learn(self, plan: LoadedPlan) -> None:
        """Find out the sizes of every batch of a plan, while no lane is there.

        What this takes for a moment is not counted against the budget. Where it is not to be had at all, what TensorRT
        says of the largest batch holds for the smaller ones too.
        """
        for batch in plan.shape.batches:
            with self._device.account.unlimited(), suppress(DoesNotFitError):
                self._known[id(plan), batch] = self._find_out(plan, batch)

    def of(self, plan: LoadedPlan, batch: int) -> int:
        """Return the activation bytes of one lane."""
        if (found := self._known.get((id(plan), batch))) is not None:
            return found
        return plan.bindings.profile_activation_bytes(plan.engine, plan.shape.profile_of(batch))

    def _find_out(self, plan: LoadedPlan, batch: int) -> int:
        stream = self._device.create_stream()
        try:
            exec_context = plan.create_context(batch, stream)
            plan.set_batch(exec_context, batch)
            declared_bytes = plan.bindings.activation_bytes(plan.engine, exec_context)
            del exec_context
        finally:
            self._device.destroy_stream(stream)
        if plan.bindings.variant.has_user_managed_contexts or plan.shape.static_shapes or not declared_bytes:
            return declared_bytes
        return self._measure(plan, batch, declared_bytes)

    def _measure(self, plan: LoadedPlan, batch: int, declared_bytes: int) -> int:
        inputs = {spec.name: np.zeros((batch, *spec.item_shape), spec.dtype) for spec in plan.inputs}
        lane = GpuLane(self._device, plan, batch=batch, activation_bytes=declared_bytes, inputs=inputs, transfers=False)
        try:
            used_bytes = max(self._written_up_to(lane, pattern) for pattern in _PATTERNS)
        finally:
            lane.close()
        return min(declared_bytes, -(-used_bytes // _ALIGNMENT_BYTES) * _ALIGNMENT_BYTES)

    def _written_up_to(self, lane: GpuLane, pattern: int) -> int:
        """Return how far one inference writes into activation memory that holds nothing but `pattern`."""
        address, size_bytes = lane.memory.activation_address, lane.memory.activation_bytes
        self._device.fill(address, pattern, size_bytes, lane.stream)
        lane.run()
        chunk = np.empty(_CHUNK_BYTES, dtype=np.uint8)
        for start in reversed(range(0, size_bytes, _CHUNK_BYTES)):
            length = min(_CHUNK_BYTES, size_bytes - start)
            self._device.copy_to_host(chunk.ctypes.data, address + start, length, lane.stream)
            self._device.synchronize(lane.stream)
            changed = np.flatnonzero(chunk[:length] != pattern)
            if len(changed):
                return start + int(changed[-1]) + 1
        return 0
