"""Buffers of one lane of ONNX Runtime: its inputs and outputs in host memory, bound once."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial

import numpy as np
import onnxruntime as ort
import trio

from asyncbench.backends.onnx_runtime.session import LoadedModel, shrink_arena
from asyncbench.errors import AsyncbenchError, BadInputError, DoesNotFitError, LaneError
from asyncbench.memory.host.process_limits import speaks_of_memory
from asyncbench.models.onnxruntime_messages import plain_text
from asyncbench.tensors import AnyArray, TensorSpec

# What Gather and its kin say in ONNX Runtime.
_OUTSIDE_OF_TABLE = re.compile(
    r"indices? .*out of (data )?bounds?(, idx=\S+ must be within the inclusive range \[\S+\])?"
)


class LaneBuffers:
    """The memory of one lane and the binding that the session reads it through; see `RunnableBody`.

    Args:
        inputs: Copied, each `(batch, *item_shape)`.

    Raises:
        DoesNotFitError: The host refused the memory.
        ValueError: An input has another shape than the network's.
    """

    def __init__(self, model: LoadedModel, *, batch: int, inputs: Mapping[str, AnyArray]) -> None:
        self._model = model
        self._batch = batch
        self._first_inputs = inputs
        self._inputs: dict[str, AnyArray] = {}
        self._outputs: dict[str, AnyArray] = {}
        self.run: Callable[[], None] = _without_memory
        """Run one inference on the calling thread; the interpreter lock is free meanwhile."""
        self._bind()

    def explain(self, error: Exception) -> AsyncbenchError | None:
        """See `RunnableBody.explain`. Onnxruntime's own errors have no base class: what they are is in the text.

        Random integers are 0 and 1, and a table may have one row: the token types of RoBERTa, for one.
        """
        if speaks_of_memory(text := plain_text(error)):
            return DoesNotFitError(
                f"an inference at batch {self._batch} was refused host memory: {text}",
                remedy="lower --batch or --concurrency, or free host memory",
            )
        found = _OUTSIDE_OF_TABLE.search(str(error))
        if found is None:
            return None
        return BadInputError(
            f"an integer of the input is no row of the table that it looks up ({found[0]})", remedy="use --input zeros"
        )

    def read_outputs(self) -> Mapping[str, AnyArray]:
        """Return copies of what the last inference wrote, each `(batch, *item_shape)`."""
        return {name: array.copy() for name, array in self._outputs.items()}

    def write_inputs(self, inputs: Mapping[str, AnyArray]) -> None:
        """Copy the values, each `(batch, *item_shape)`."""
        for spec in self._model.inputs:
            _check_shape(inputs[spec.name], spec, self._batch)
            np.copyto(self._inputs[spec.name], inputs[spec.name], casting="same_kind")

    async def free_memory(self) -> None:
        """Drop the buffers, and what the runtime's arena holds of inferences that are over."""
        self.run = _without_memory
        self._inputs.clear()
        self._outputs.clear()
        await trio.to_thread.run_sync(shrink_arena, self._model)

    async def take_memory(self) -> None:
        """Allocate and bind anew."""
        await trio.to_thread.run_sync(self._bind)

    def _bind(self) -> None:
        try:
            # The runtime's own call, and not a method around it: that would cost 2 % of an inference of 4 µs.
            run = _BoundRun(self._model.session.run_with_iobinding, self._new_binding())
        except MemoryError as error:
            raise DoesNotFitError(
                f"a lane of batch {self._batch} was refused host memory: {error}",
                remedy="lower --batch or --concurrency",
                requested_bytes=self._batch * sum(spec.item_bytes() for spec in self._specs),
            ) from error
        run.arrays = (*self._inputs.values(), *self._outputs.values())
        self.run = run

    @property
    def _specs(self) -> tuple[TensorSpec, ...]:
        return (*self._model.inputs, *self._model.outputs)

    def _new_binding(self) -> ort.IOBinding:
        binding = self._model.session.io_binding()
        for spec in self._model.inputs:
            array = self._inputs[spec.name] = _copy(self._first_inputs[spec.name], spec, self._batch)
            binding.bind_input(spec.name, "cpu", 0, array.dtype, array.shape, array.ctypes.data)
        for spec in self._model.outputs:
            array = self._outputs[spec.name] = np.zeros((self._batch, *spec.item_shape), spec.dtype)
            binding.bind_output(spec.name, "cpu", 0, array.dtype, array.shape, array.ctypes.data)
        return binding


class _BoundRun(partial[None]):
    """An inference through a binding. Arrays are bound by address, so they live as long as this does."""

    arrays: Sequence[AnyArray] = ()


def _without_memory() -> None:
    raise LaneError("the lane has no memory")


def _copy(array: AnyArray, spec: TensorSpec, batch: int) -> AnyArray:
    _check_shape(array, spec, batch)
    return np.array(array, dtype=spec.dtype, order="C")


def _check_shape(array: AnyArray, spec: TensorSpec, batch: int) -> None:
    wanted = (batch, *spec.item_shape)
    if array.shape != wanted:
        message = f"input {spec.name!r} has the shape {array.shape}, the lane needs {wanted}"
        raise ValueError(message)
