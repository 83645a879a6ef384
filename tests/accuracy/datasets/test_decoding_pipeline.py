"""Decoding in threads: order, bounds, corrupt images, cancellation."""

from __future__ import annotations

import dataclasses
import threading
from pathlib import Path

import cv2
import numpy as np
import pytest
import trio
import trio.testing

from asyncbench.accuracy.datasets.dataset import LeftOut
from asyncbench.accuracy.datasets.decoding_pipeline import open_batches
from asyncbench.accuracy.datasets.opening import open_dataset
from asyncbench.models.catalog import find_model
from asyncbench.models.preparation import prepare, read_image
from asyncbench.models.recipe import Layout, Recipe

RECIPE = Recipe(height=8, width=8)


@pytest.fixture
def items(write_images):
    names = [f"{index:02d}.png" for index in range(23)]
    return open_dataset(write_images(*names)).items


def never(left_out):
    raise AssertionError(left_out)


async def collect(items, recipe=RECIPE, *, on_left_out=never, **settings):
    chosen = {"batch": 4, "threads": 2, "ahead": 2} | settings
    async with open_batches(items, recipe, on_left_out=on_left_out, **chosen) as batches:
        return [one async for one in batches]


@pytest.mark.parametrize("batch", [1, 4, 23, 50])
@pytest.mark.parametrize(("threads", "ahead"), [(1, 1), (3, 2)])
async def test_every_image_comes_once_in_order(items, batch, threads, ahead):
    found = await collect(items, batch=batch, threads=threads, ahead=ahead)

    assert [item for one in found for item in one.items] == list(items)
    assert {len(one.items) for one in found[:-1]} <= {batch}
    assert [one.pixels.shape for one in found] == [(len(one.items), 3, 8, 8) for one in found]
    # Image i is of the one value i.
    assert [round(float(pixels.mean())) for one in found for pixels in one.pixels] == list(range(23))


async def test_images_are_prepared_as_for_every_other_use(shared_images):
    items, recipe = open_dataset(shared_images / "coco").items[:3], find_model("ssdmobilenet").recipe

    (found,) = await collect(items, recipe)

    for item, pixels in zip(found.items, found.pixels, strict=True):
        assert np.array_equal(pixels, prepare(read_image(item.path), recipe))


async def test_the_layout_is_that_of_the_recipe(items):
    found = await collect(items, Recipe(height=6, width=8, layout=Layout.NHWC))

    assert found[0].pixels.shape == (4, 6, 8, 3)


async def test_corrupt_and_missing_images_are_left_out_by_name_and_the_next_ones_take_their_place(items):
    items[1].path.write_bytes(b"no image")
    items[5].path.unlink()
    items[6].path.write_bytes(b"")
    left_out = []

    found = await collect(items, on_left_out=left_out.append)

    assert left_out == [LeftOut(name=f"{index:02d}.png", reason="it cannot be decoded") for index in (1, 5, 6)]
    assert [len(one.items) for one in found] == [4] * 5
    assert [item for one in found for item in one.items] == [
        item for item in items if item not in {*items[5:7], items[1]}
    ]


async def test_damaged_and_endless_images_are_left_out_by_name(items):
    noise = np.random.default_rng(0).integers(256, size=(64, 64, 3), dtype=np.uint8)
    encoded = bytearray(cv2.imencode(".jpg", noise)[1].tobytes())
    encoded[len(encoded) // 2 : -2] = bytes(len(encoded) - len(encoded) // 2 - 2)
    items[1].path.write_bytes(encoded)
    items[3].path.write_bytes(cv2.imencode(".png", np.zeros((1, 65_000, 3), dtype=np.uint8))[1].tobytes())
    left_out = []

    found = await collect(items, find_model("mobilenet").recipe, on_left_out=left_out.append)

    assert [one.name for one in left_out] == ["01.png", "03.png"]
    assert sum(len(one.items) for one in found) == len(items) - 2


async def test_nothing_but_corrupt_images_gives_no_batch(items):
    for item in items:
        item.path.write_bytes(b"no image")
    left_out = []

    assert await collect(items, on_left_out=left_out.append) == []
    assert len(left_out) == len(items)


async def test_no_images_give_no_batch():
    assert await collect([]) == []


class WatchedPath(type(Path())):
    """A path that tells how often, and how often at once, files are read."""

    lock = threading.Lock()
    together: threading.Barrier | None = None
    read = now = most = 0

    def read_bytes(self):
        kind = type(self)
        with kind.lock:
            kind.read += 1
            kind.now += 1
            kind.most = max(kind.most, kind.now)
        if kind.together:
            kind.together.wait(timeout=10)
        try:
            return super().read_bytes()
        finally:
            with kind.lock:
                kind.now -= 1


@pytest.fixture
def watched(items):
    """The items, and the class that counts their reading anew for each test."""
    kind = type("WatchedNow", (WatchedPath,), {})
    return [dataclasses.replace(item, path=kind(item.path)) for item in items], kind


async def test_no_more_is_decoded_than_was_agreed_while_nobody_takes_a_batch(watched):
    items, kind = watched

    async with open_batches(items, RECIPE, batch=2, threads=2, ahead=3, on_left_out=never) as batches:
        read_before_the_first = kind.read
        await batches.receive()
        with trio.fail_after(10):
            while kind.read < 2 * (1 + 3):  # one batch taken, three waiting
                await trio.testing.wait_all_tasks_blocked(0.01)
        await trio.testing.wait_all_tasks_blocked(0.1)

        assert read_before_the_first == 0
        assert kind.read <= 2 * (1 + 3) + 3  # and `threads + 1` single images


async def test_as_many_are_decoded_at_once_as_there_are_threads(watched):
    items, kind = watched
    kind.together = threading.Barrier(2)

    found = await collect(items[:22], threads=2, batch=22)

    assert len(found[0].items) == 22
    assert kind.most == 2


async def test_leaving_early_leaves_nothing_behind(items):
    limiter_before = trio.to_thread.current_default_thread_limiter().statistics()
    threads_before = cv2.getNumThreads()
    tasks_before = trio.lowlevel.current_statistics().tasks_living

    async with open_batches(items, RECIPE, batch=2, threads=2, ahead=1, on_left_out=never) as batches:
        async for _ in batches:
            assert cv2.getNumThreads() == 1
            break

    assert trio.lowlevel.current_statistics().tasks_living == tasks_before
    assert trio.to_thread.current_default_thread_limiter().statistics() == limiter_before
    assert cv2.getNumThreads() == threads_before


@pytest.mark.parametrize("steps", range(12))
async def test_cancelling_at_any_step_leaves_nothing_behind(items, steps):
    threads_before = cv2.getNumThreads()
    tasks_before = trio.lowlevel.current_statistics().tasks_living

    with trio.CancelScope() as scope:
        async with open_batches(items, RECIPE, batch=2, threads=2, ahead=2, on_left_out=never) as batches:
            seen = 0
            async for _ in batches:
                seen += 1
                if seen >= steps:
                    scope.cancel()

    assert scope.cancelled_caught
    assert trio.lowlevel.current_statistics().tasks_living == tasks_before
    assert cv2.getNumThreads() == threads_before


async def test_an_error_of_the_body_comes_out_as_itself(items):
    async def fail():
        async with open_batches(items, RECIPE, batch=2, threads=2, ahead=1, on_left_out=never) as batches:
            async for _ in batches:
                raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        await fail()
