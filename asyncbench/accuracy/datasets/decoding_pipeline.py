"""Images, decoded and prepared in worker threads, in order, and never more of them in memory than agreed."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import cv2
import numpy as np
import trio

from asyncbench.accuracy.datasets.dataset import Item, LeftOut
from asyncbench.accuracy.datasets.marked_size import size_difference
from asyncbench.errors import BadInputError
from asyncbench.models.preparation import Float32Array, prepare, read_image
from asyncbench.models.recipe import Recipe

CANNOT_DECODE = "it cannot be decoded"


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparedBatch:
    """Images that are ready for the network.

    Attributes:
        items: What they are, in order.
        pixels: `(len(items), *item_shape)` float32, as the recipe says. It belongs to whoever receives the batch.
    """

    items: tuple[Item, ...]
    pixels: Float32Array


@dataclass(slots=True)
class _Decoding:
    """One image on its way; once it is decoded it has its pixels, or the reason why it is left out."""

    item: Item
    decoded: trio.Event = field(default_factory=trio.Event)
    outcome: Float32Array | str = CANNOT_DECODE


@trio.as_safe_channel
async def open_batches(
    items: Sequence[Item],
    recipe: Recipe,
    *,
    batch: int,
    threads: int,
    ahead: int,
    on_left_out: Callable[[LeftOut], None],
) -> AsyncGenerator[PreparedBatch, None]:
    """Give the images in batches, in order, to an `async for` over what `async with` binds.

    Decoding starts with the first batch that is asked for. It stops when `ahead` batches wait, and goes on when one of
    them is taken. In memory are at most `ahead` waiting batches, the one that is being filled, and `threads + 1`
    single images. Leaving waits for the images that are being decoded at that moment, and for nothing else. What
    else can fail, such as memory, comes as an exception group.

    Args:
        batch: Images of a batch; the last one has fewer where they do not come out even.
        threads: Images that are decoded at once, 1 or more. OpenCV itself uses one thread meanwhile.
        ahead: Batches that wait, 1 or more.
        on_left_out: Called for each image that cannot be decoded, or has another size than was marked; the next one
            takes its place.
    """
    filled, batches = trio.open_memory_channel[PreparedBatch](ahead - 1)  # one more waits within `send`
    queued, decodings = trio.open_memory_channel[_Decoding](threads)
    with _single_threaded_opencv():
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_decode_all, items, recipe, threads, queued)
            nursery.start_soon(_fill, decodings, filled, batch, on_left_out)
            async for one in batches:
                yield one


async def _decode_all(
    items: Sequence[Item], recipe: Recipe, threads: int, queued: trio.MemorySendChannel[_Decoding]
) -> None:
    """Start decoding in order; the channel holds it back, the limiter bounds what runs at once."""
    limiter = trio.CapacityLimiter(threads)
    async with queued, trio.open_nursery() as nursery:
        for item in items:
            decoding = _Decoding(item=item)
            await queued.send(decoding)
            nursery.start_soon(_decode, decoding, recipe, limiter)


async def _decode(decoding: _Decoding, recipe: Recipe, limiter: trio.CapacityLimiter) -> None:
    decoding.outcome = await trio.to_thread.run_sync(_pixels_or_reason, decoding.item, recipe, limiter=limiter)
    decoding.decoded.set()


def _pixels_or_reason(item: Item, recipe: Recipe) -> Float32Array | str:
    try:
        image = read_image(item.path)
        height, width, _ = image.shape
        return size_difference(item.marked_size, (height, width)) or prepare(image, recipe)
    except (BadInputError, cv2.error):  # cv2.error: decoded, and too odd to be scaled
        return CANNOT_DECODE


async def _fill(
    decodings: trio.MemoryReceiveChannel[_Decoding],
    filled: trio.MemorySendChannel[PreparedBatch],
    batch: int,
    on_left_out: Callable[[LeftOut], None],
) -> None:
    async with decodings, filled:
        filling = _Filling(batch)
        async for decoding in decodings:
            await decoding.decoded.wait()
            if isinstance(decoding.outcome, str):
                on_left_out(LeftOut(name=decoding.item.name, reason=decoding.outcome))
                continue
            filling.add(decoding.item, decoding.outcome)
            if len(filling.items) == batch:
                await filled.send(filling.take())
        if filling.items:
            await filled.send(filling.take())


class _Filling:
    """The batch that is being filled, image by image: copying all of it at once would hold up the event loop."""

    def __init__(self, batch: int) -> None:
        self._batch = batch
        self._pixels: Float32Array | None = None
        self.items: list[Item] = []

    def add(self, item: Item, pixels: Float32Array) -> None:
        if self._pixels is None:
            self._pixels = np.empty((self._batch, *pixels.shape), dtype=np.float32)
        self._pixels[len(self.items)] = pixels
        self.items.append(item)

    def take(self) -> PreparedBatch:
        """Return what is there and begin anew; only called when something is."""
        assert self._pixels is not None  # noqa: S101 # for the type checker: there are items
        full = PreparedBatch(items=tuple(self.items), pixels=self._pixels[: len(self.items)])
        self._pixels, self.items = None, []
        return full


@contextmanager
def _single_threaded_opencv() -> Iterator[None]:
    """Keep OpenCV from splitting each image over all processors: our threads use them already."""
    before = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(before)
