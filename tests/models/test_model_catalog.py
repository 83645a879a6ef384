from __future__ import annotations

import subprocess
import sys

import pytest

from asyncbench.errors import BadInputError
from asyncbench.models.catalog import MODELS, find_model


def test_a_model_is_found_by_its_name():
    assert find_model("resnet50").title == "ResNet-50 v1"


def test_the_default_comes_first():
    assert MODELS[0].name == "mobilenet"


def test_an_unknown_name_is_answered_with_the_closest_and_all_names():
    with pytest.raises(BadInputError) as caught:
        find_model("resnet5")

    assert "did you mean resnet50?" in caught.value.remedy
    assert "mobilenet, resnet50, ssdmobilenet" in caught.value.remedy


def test_a_name_like_no_other_is_answered_with_all_names_only():
    with pytest.raises(BadInputError) as caught:
        find_model("zzz")

    assert caught.value.remedy.startswith("choose mobilenet, resnet50, ssdmobilenet")


def test_the_catalogue_loads_neither_onnx_nor_opencv():
    program = "import sys, asyncbench.models.catalog, asyncbench.models.image_folder; print(*sys.modules)"

    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()

    assert not {"onnx", "cv2", "onnxruntime", "numpy"} & set(loaded)
