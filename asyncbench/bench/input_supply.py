"""Inputs of the lanes: made for one batch at a time, when a cell of it has been admitted."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import trio

from asyncbench.tensors import AnyArray, TensorSpec

MakeInputs = Callable[[Sequence[TensorSpec], int], Mapping[str, AnyArray]]


class InputSupply:
    """The inputs of the batch that is measured; lanes copy them. Item i is the same in every batch.

    One batch is held, for its next cell; asking for another one lets go of it first. So a batch takes nothing of the
    memory that the cells of other batches need, and is part of what its own cells are admitted by.

    Args:
        make: Returns inputs, each `(batch, *item_shape)`. Blocking.
    """

    def __init__(self, specs: Sequence[TensorSpec], make: MakeInputs) -> None:
        self._specs = specs
        self._make = make
        self._item_bytes = sum(spec.item_bytes() for spec in specs)
        self._batch: int | None = None
        self._inputs: Mapping[str, AnyArray] = {}

    @property
    def held_bytes(self) -> int:
        """Bytes of the inputs that are held: in use already, and free again once another batch is asked for."""
        return 0 if self._batch is None else self.needed_bytes(self._batch)

    def needed_bytes(self, batch: int) -> int:
        """Return what the inputs of a batch take."""
        return batch * self._item_bytes

    def release_others(self, batch: int) -> None:
        """Let go of what is held, unless it is of this batch."""
        if batch != self._batch:
            self._batch, self._inputs = None, {}

    async def of(self, batch: int) -> Mapping[str, AnyArray]:
        """Return the inputs of a batch.

        Raises:
            BadInputError: See `make_inputs`.
            MemoryError: There is no memory for them; nothing is held.
        """
        self.release_others(batch)
        if self._batch is None:
            self._inputs = await trio.to_thread.run_sync(self._make, self._specs, batch)
            self._batch = batch
        return self._inputs
