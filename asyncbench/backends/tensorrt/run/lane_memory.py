"""The memory of one lane on the device and pinned on the host, and its release in one place."""

from __future__ import annotations

import ctypes
from collections.abc import Mapping

import numpy as np

from asyncbench.backends.tensorrt.run.cuda_device import CudaDevice
from asyncbench.tensors import AnyArray, TensorSpec


class TensorMemory:
    """One input or output: device memory, and a pinned host array `(batch, *item_shape)` over the same bytes."""

    def __init__(self, device: CudaDevice, spec: TensorSpec, batch: int) -> None:
        self.name = spec.name
        self.size_bytes = batch * spec.item_bytes()
        self._device = device
        self.address = device.allocate(self.size_bytes)
        try:
            self._host_address = device.allocate_pinned(self.size_bytes)
        except BaseException:
            device.free(self.address)
            raise
        memory = (ctypes.c_byte * self.size_bytes).from_address(self._host_address)
        self.host: AnyArray = np.ctypeslib.as_array(memory).view(spec.dtype).reshape(batch, *spec.item_shape)

    def to_device(self, stream: int) -> None:
        """Queue the copy of the host array to the device."""
        self._device.copy_to_device(self.address, self._host_address, self.size_bytes, stream)

    def to_host(self, stream: int) -> None:
        """Queue the copy of the device's values to the host array."""
        self._device.copy_to_host(self._host_address, self.address, self.size_bytes, stream)

    def free(self) -> None:
        """Free both; the host array must not be touched any more."""
        del self.host
        self._device.free(self.address)
        self._device.free_pinned(self._host_address)


class LaneMemory:
    """All memory of one lane at one batch: inputs, outputs, activations.

    Args:
        activation_bytes: What the execution context needs for this batch.

    Raises:
        DoesNotFitError: It was refused; nothing is held.
    """

    def __init__(
        self,
        device: CudaDevice,
        *,
        batch: int,
        inputs: tuple[TensorSpec, ...],
        outputs: tuple[TensorSpec, ...],
        activation_bytes: int,
    ) -> None:
        self._device = device
        self.activation_bytes = activation_bytes
        self.activation_address = 0
        self.inputs: list[TensorMemory] = []
        self.outputs: list[TensorMemory] = []
        try:
            self.activation_address = device.allocate(max(activation_bytes, 1))
            for specs, tensors in ((inputs, self.inputs), (outputs, self.outputs)):
                for spec in specs:
                    tensors.append(TensorMemory(device, spec, batch))
        except BaseException:
            self.free()
            raise

    @property
    def device_bytes(self) -> int:
        """Device memory that this holds."""
        return self.activation_bytes + sum(tensor.size_bytes for tensor in (*self.inputs, *self.outputs))

    def fill_inputs(self, arrays: Mapping[str, AnyArray], stream: int) -> None:
        """Copy the inputs to the host arrays and queue their copy to the device.

        Raises:
            ValueError: An input has another shape than the network's.
        """
        for tensor in self.inputs:
            array = arrays[tensor.name]
            if array.shape != tensor.host.shape:
                message = f"input {tensor.name!r} has the shape {array.shape}, the lane needs {tensor.host.shape}"
                raise ValueError(message)
            np.copyto(tensor.host, array, casting="same_kind")
            tensor.to_device(stream)

    def free(self) -> None:
        """Free all of it; nothing may be in flight."""
        for tensor in (*self.inputs, *self.outputs):
            tensor.free()
        self.inputs.clear()
        self.outputs.clear()
        if self.activation_address:
            self._device.free(self.activation_address)
            self.activation_address = 0
