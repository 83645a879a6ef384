"""A data set as a sweep opens it: whose accuracy can be told, and that what was marked belongs to the images."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from asyncbench.bench.accuracy.accuracy_check import open_labelled_data
from asyncbench.bench.model_under_test import Images, ModelUnderTest
from asyncbench.errors import BadInputError
from asyncbench.models.catalog import MODELS, find_model
from asyncbench.sweep.cell import Precision
from asyncbench.sweep.config import SweepConfig, check_config


def subject_of(config, info):
    return ModelUnderTest(config=config, path=Path("any.onnx"), info=info, images=Images(used=(), found=0))


@pytest.fixture
def coco_folder(tmp_path):
    """Return a function that writes images of 24 x 20 pixels, and instances with their names and sizes."""

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
    config = SweepConfig(dataset=str(folder), model_file="any.onnx")
    return open_labelled_data(config, subject_of(config, find_model("ssdmobilenet")), Precision.FP32)


@pytest.mark.parametrize("prefix", ["", "val2017/", "images\\"])
def test_the_objects_are_known_by_the_image_s_own_name(coco_folder, prefix):
    data = open_data(coco_folder((f"{prefix}p0.png", 24, 20), (f"{prefix}p1.png", 24, 20)))

    assert {name: len(image.objects) for name, image in data.truth.items()} == {"p0.png": 1, "p1.png": 0}
    assert [item.name for item in data.dataset.items] == ["p0.png", "p1.png"]


def test_images_that_all_have_other_sizes_than_the_instances_say_are_refused(coco_folder):
    folder = coco_folder(("p0.png", 20, 24), ("p1.png", 20, 24))

    with pytest.raises(BadInputError, match=r"p0\.png: it is 24 x 20 pixels, the instances say 20 x 24"):
        open_data(folder)


def test_some_of_another_size_are_left_to_be_told_of_when_they_are_decoded(coco_folder):
    data = open_data(coco_folder(("p0.png", 20, 24), ("p1.png", 24, 20)))

    assert len(data.dataset.items) == 2


def refusal(**keys):
    config = check_config({"dataset": "images", **keys}, source="")
    info = None if config.backend == "simulated" else find_model(config.model)
    with pytest.raises(BadInputError) as caught:
        open_labelled_data(config, subject_of(config, info), Precision.FP32)
    return caught.value


@pytest.mark.parametrize("name", [model.name for model in MODELS])
def test_random_weights_have_none(name):
    error = refusal(model=name)

    assert error.message == f"the weights of the built-in {name} are random, and so would its accuracy be"
    assert error.remedy.startswith("name a file with trained weights with --model")


def test_weights_are_proposed_to_be_fetched_only_where_those_that_are_published_can_be_used():
    proposing = [model.name for model in MODELS if "models pull" in refusal(model=model.name).remedy]

    assert proposing == ["mobilenet"]


def test_a_simulated_network_has_none():
    assert refusal(backend="simulated").message == "a simulated network has no accuracy"
