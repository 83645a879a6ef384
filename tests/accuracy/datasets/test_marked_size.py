"""Boxes that were marked on an image of another size: swapped sides, other copies, EXIF's turns."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncbench.accuracy.datasets.dataset import LeftOut
from asyncbench.accuracy.datasets.decoding_pipeline import open_batches
from asyncbench.accuracy.datasets.marked_size import refuse_other_sizes, size_difference
from asyncbench.accuracy.datasets.opening import open_dataset
from asyncbench.errors import BadInputError
from asyncbench.models.recipe import Recipe

SIDES = st.integers(8, 5000)


@pytest.fixture
def marked_folder(write_images):
    """Return a function that makes a data set of images of 24 x 20 pixels; it takes what the instances say."""

    def make(*sizes):
        names = [f"p{number}.jpg" for number in range(len(sizes))]
        folder = write_images(*names)
        images = [
            {"id": number, "file_name": name, "width": width, "height": height}
            for number, (name, (width, height)) in enumerate(zip(names, sizes, strict=True))
        ]
        truth = {"images": images, "annotations": [], "categories": []}
        (folder / "instances.json").write_text(json.dumps(truth))
        return open_dataset(folder)

    return make


async def batches_of(dataset):
    left_out = []
    recipe = Recipe(height=8, width=8)
    async with open_batches(dataset.items, recipe, batch=2, threads=2, ahead=1, on_left_out=left_out.append) as batches:
        return [item.name for one in [one async for one in batches] for item in one.items], left_out


async def test_an_image_of_another_size_than_the_instances_say_is_left_out_by_name_with_both_sizes(marked_folder):
    dataset = marked_folder((24, 20), (20, 24), (24, 30), (48, 40))

    used, left_out = await batches_of(dataset)

    assert used == ["p0.jpg", "p3.jpg"]  # the last is a copy at half the size: shares of its sides are the same
    assert left_out == [
        LeftOut(name="p1.jpg", reason="it is 24 x 20 pixels, the instances say 20 x 24"),
        LeftOut(name="p2.jpg", reason="it is 24 x 20 pixels, the instances say 24 x 30"),
    ]


async def test_an_image_that_exif_would_turn_counts_where_its_instances_are_of_the_stored_pixels(marked_folder):
    dataset = marked_folder((24, 20), (20, 24))
    pixels = cv2.imencode(".jpg", np.zeros((20, 24, 3), dtype=np.uint8))[1].tobytes()
    entry = (0x0112).to_bytes(2, "big") + (3).to_bytes(2, "big") + (1).to_bytes(4, "big") + b"\x00\x06\x00\x00"
    exif = b"Exif\x00\x00MM\x00\x2a\x00\x00\x00\x08\x00\x01" + entry + bytes(4)
    for item in dataset.items:
        item.path.write_bytes(pixels[:2] + b"\xff\xe1" + (len(exif) + 2).to_bytes(2, "big") + exif + pixels[2:])

    used, left_out = await batches_of(dataset)

    assert used == ["p0.jpg"]
    assert left_out == [LeftOut(name="p1.jpg", reason="it is 24 x 20 pixels, the instances say 20 x 24")]


def test_images_of_which_none_has_its_size_are_refused_with_their_number_and_the_first(marked_folder):
    dataset = marked_folder((20, 24), (20, 24), (20, 24))
    dataset.items[2].path.write_bytes(b"no image")

    with pytest.raises(
        BadInputError,
        match=r"no image has the size that .*instances\.json says; of 2 decoded the first is p0\.jpg: "
        "it is 24 x 20 pixels, the instances say 20 x 24: correct height",
    ):
        refuse_other_sizes(dataset.items, dataset.truth)


def test_one_image_of_the_right_size_will_do_and_no_other_is_decoded_after_it(marked_folder):
    dataset = marked_folder((20, 24), (24, 20), (20, 24))
    dataset.items[2].path.unlink()

    refuse_other_sizes(dataset.items, dataset.truth)


def test_images_that_cannot_be_decoded_are_not_the_instances_fault(marked_folder):
    dataset = marked_folder((20, 24))
    dataset.items[0].path.write_bytes(b"no image")

    refuse_other_sizes(dataset.items, dataset.truth)


@given(SIDES, SIDES, st.floats(0.1, 4))
def test_an_evenly_scaled_copy_fits_whichever_way_its_sides_were_rounded(height, width, factor):
    for rounded in (lambda side: int(side * factor) or 1, lambda side: int(side * factor) + 1):
        copy = rounded(height), rounded(width)
        if copy != (width, height):
            assert size_difference((height, width), copy) is None


@given(SIDES, SIDES)
def test_swapped_sides_never_fit_however_close_to_a_square(height, width):
    assert (size_difference((height, width), (width, height)) is None) is (height == width)


def test_a_crop_and_another_ratio_do_not_fit():
    assert size_difference((480, 640), (480, 600)) == "it is 600 x 480 pixels, the instances say 640 x 480"
    assert size_difference((480, 640), (300, 300)) is not None


def test_a_size_that_nobody_marked_fits_everything():
    assert size_difference(None, (3, 4)) is None
