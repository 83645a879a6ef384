"""Every item of a data set through the lanes of a timed cell: same engine, batch and concurrency."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np
import trio

from asyncbench.backends.base import Engine, Lane
from asyncbench.error_group import own_error_alone
from asyncbench.tensors import AnyArray

Answer = TypeVar("Answer")
Take = Callable[[Mapping[str, AnyArray]], Sequence[Answer]]


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemBatch:
    """Some items of a data set, ready for the network.

    Attributes:
        item_ids: At least one; the last batch of a data set may have fewer than the lanes take.
        inputs: Each `(items, *item_shape)`, by the network's input names.
    """

    item_ids: tuple[str, ...]
    inputs: Mapping[str, AnyArray]


async def run_accuracy(
    engine: Engine, *, batch: int, concurrency: int, inputs: AsyncIterator[ItemBatch], take: Take[Answer]
) -> dict[str, Answer]:
    """Return what `take` makes of each item's outputs, by item, in the order in which the items came.

    Whichever lane is free takes the next batch, so at most `concurrency` batches are held beside what `inputs` keeps
    ready. Cancelling waits for what is in flight. `inputs` stays the caller's to close.

    Args:
        batch: What the lanes take. A batch with fewer items is filled up, and the filling is not counted.
        take: Outputs of the items, each `(items, …)`, to one small answer per item. Called on a thread, by several
            threads at once.

    Raises:
        DoesNotFitError: Memory for the lanes was refused.
        LaneError: An inference failed.
        ExceptionGroup: Of a ValueError: a batch has more items than the lanes take or none, or an item came twice.
    """
    feed = _Feed(inputs, batch=batch)
    answers = _Answers[Answer]()
    zeros = {spec.name: np.zeros((batch, *spec.item_shape), spec.dtype) for spec in engine.facts.inputs}
    with own_error_alone():
        async with (
            engine.open_lanes(batch=batch, count=concurrency, inputs=zeros) as lanes,
            trio.open_nursery() as nursery,
        ):
            for lane in lanes:
                nursery.start_soon(_work, lane, feed, take, answers)
    return answers.in_order()


async def _work(lane: Lane, feed: _Feed, take: Take[Answer], answers: _Answers[Answer]) -> None:
    while (numbered := await feed.next_batch()) is not None:
        number, batch = numbered
        await trio.to_thread.run_sync(lane.write_inputs, feed.filled_up(batch))
        await lane.infer()
        outputs = {name: array[: len(batch.item_ids)] for name, array in lane.read_outputs().items()}
        answers.add(number, batch.item_ids, await trio.to_thread.run_sync(take, outputs))


class _Feed:
    """Hands the batches out, one at a time, to whoever has waited longest."""

    def __init__(self, inputs: AsyncIterator[ItemBatch], *, batch: int) -> None:
        self._inputs = inputs
        self._batch = batch
        self._taking = trio.Lock()
        self._taken = 0
        self._seen: set[str] = set()

    async def next_batch(self) -> tuple[int, ItemBatch] | None:
        """Return the next batch with its number, from 0; None once there is no more."""
        async with self._taking:
            try:
                batch = await self._inputs.__anext__()
            except StopAsyncIteration:
                return None
            self._check(batch)
            self._taken += 1
            return self._taken - 1, batch

    def filled_up(self, batch: ItemBatch) -> Mapping[str, AnyArray]:
        """Return the inputs with the last item repeated, until they are as many as a lane takes."""
        missing = self._batch - len(batch.item_ids)
        if not missing:
            return batch.inputs
        return {
            name: np.concatenate([array, np.repeat(array[-1:], missing, axis=0)])
            for name, array in batch.inputs.items()
        }

    def _check(self, batch: ItemBatch) -> None:
        items = len(batch.item_ids)
        if not 0 < items <= self._batch:
            raise ValueError(f"a batch of {items} items came to lanes that take {self._batch}")
        for item in batch.item_ids:
            if item in self._seen:
                raise ValueError(f"item {item!r} came twice")
            self._seen.add(item)


class _Answers(Generic[Answer]):
    """Answers as they come, which is not the order of the items."""

    def __init__(self) -> None:
        self._batches: dict[int, dict[str, Answer]] = {}

    def add(self, number: int, item_ids: Sequence[str], answers: Sequence[Answer]) -> None:
        self._batches[number] = dict(zip(item_ids, answers, strict=True))

    def in_order(self) -> dict[str, Answer]:
        return {item: answer for _, batch in sorted(self._batches.items()) for item, answer in batch.items()}
