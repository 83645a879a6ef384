"""A data set as a sweep opens it: what was marked belongs to the pictures, whatever the instances call them."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest

from asyncbench.errors import BadInputError
from asyncbench.models.catalog import find_model
from asyncbench.runner.quality_check import open_labelled_data
from asyncbench.sweep.cell import Precision
from asyncbench.sweep.config import SweepConfig


@pytest.fixture
def coco_folder(tmp_path):
    """Return a function that writes pictures of 24 x 20 pixels, and instances with their names and sizes."""

    def write(*entries):
        for number in range(len(entries)):
            cv2.imwrite(str(tmp_path / f"p{number}.png"), np.zeros((20, 24, 3), dtype=np.uint8))
        truth = {
            "images": [
                {"id": number, "file_name": name, "width": width, "height": height}
                for number, (name, width, height) in enumerate(entries, start=1)
            ],
            "annotations": [{"id": 1, "image_id": 1, "category_id": 17, "bbox": [1, 2, 3, 4]}],
            "categories": [{"id": 17}],
        }
        (tmp_path / "instances.json").write_text(json.dumps(truth))
        return tmp_path

    return write


def open_data(folder):
    return open_labelled_data(SweepConfig(dataset=str(folder)), find_model("ssdmobilenet"), Precision.FP32)


@pytest.mark.parametrize("prefix", ["", "val2017/", "images\\"])
def test_the_objects_are_known_by_the_picture_s_own_name(coco_folder, prefix):
    data = open_data(coco_folder((f"{prefix}p0.png", 24, 20), (f"{prefix}p1.png", 24, 20)))

    assert {name: len(picture.objects) for name, picture in data.truth.items()} == {"p0.png": 1, "p1.png": 0}
    assert [item.name for item in data.dataset.items] == ["p0.png", "p1.png"]


def test_pictures_that_all_have_other_sizes_than_the_instances_say_are_refused(coco_folder):
    folder = coco_folder(("p0.png", 20, 24), ("p1.png", 20, 24))

    with pytest.raises(BadInputError, match=r"p0\.png: it is 24 x 20 pixels, the instances say 20 x 24"):
        open_data(folder)


def test_some_of_another_size_are_left_to_be_told_of_when_they_are_decoded(coco_folder):
    data = open_data(coco_folder(("p0.png", 20, 24), ("p1.png", 24, 20)))

    assert len(data.dataset.items) == 2
