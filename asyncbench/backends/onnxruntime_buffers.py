"""What one lane of ONNX Runtime owns: its inputs and outputs in host memory, bound once."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from asyncbench.backends.base import AnyArray, TensorSpec
from asyncbench.backends.onnxruntime_session import LoadedModel


class LaneBuffers:
    """The memory of one lane and the binding that the session reads it through.

    Args:
        inputs: Copied, each `(batch, *item_shape)`.

    Raises:
        ValueError: An input has another shape than the network's.
    """

    def __init__(self, model: LoadedModel, *, batch: int, inputs: Mapping[str, AnyArray]) -> None:
        self._session = model.session
        self._binding = model.session.io_binding()
        self._outputs: dict[str, AnyArray] = {}
        for spec in model.inputs:
            self._binding.bind_cpu_input(spec.name, _copy(inputs[spec.name], spec, batch))
        for spec in model.outputs:
            array: AnyArray = np.zeros((batch, *spec.item_shape), spec.dtype)
            # Bound by address: the array must live as long as the binding does.
            self._outputs[spec.name] = array
            self._binding.bind_output(spec.name, "cpu", 0, array.dtype, array.shape, array.ctypes.data)

    def run(self) -> None:
        """Run one inference on the calling thread; the interpreter lock is free meanwhile."""
        self._session.run_with_iobinding(self._binding)

    def read_outputs(self) -> Mapping[str, AnyArray]:
        """Return copies of what the last inference wrote, each `(batch, *item_shape)`."""
        return {name: array.copy() for name, array in self._outputs.items()}


def _copy(array: AnyArray, spec: TensorSpec, batch: int) -> AnyArray:
    wanted = (batch, *spec.item_shape)
    if array.shape != wanted:
        message = f"input {spec.name!r} has the shape {array.shape}, the lane needs {wanted}"
        raise ValueError(message)
    return np.array(array, dtype=spec.dtype, order="C")
