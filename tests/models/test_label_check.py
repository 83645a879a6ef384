from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from asyncbench.errors import BadInputError
from asyncbench.models.label_check import LabelCheck, check_labels

_IMAGES = (Path("a.jpg"), Path("b.jpg"), Path("c.jpg"))


@pytest.fixture
def labels_file(tmp_path):
    path = tmp_path / "labels.json"
    entries = [{"file": "a.jpg", "accept_classes": [3, 5]}, {"file": "b.jpg", "accept_classes": [1]}]
    path.write_text(json.dumps(entries), encoding="utf-8")
    return path


def _outputs(*tops, classes=10):
    return {"prob": np.eye(classes, dtype=np.float32)[list(tops)]}


def test_images_without_a_label_are_not_counted(labels_file):
    assert check_labels(_outputs(5, 2, 7), _IMAGES, labels_file) == LabelCheck(right=1, counted=2)


def test_a_repeated_image_counts_once(labels_file):
    assert check_labels(_outputs(3, 1, 0, 3, 1), _IMAGES, labels_file) == LabelCheck(right=2, counted=2)


def test_images_beyond_the_batch_are_not_counted(labels_file):
    assert check_labels(_outputs(3), _IMAGES, labels_file) == LabelCheck(right=1, counted=1)


def test_labels_count_from_the_first_class_after_the_background(labels_file):
    assert check_labels(_outputs(4, 2, classes=1001), _IMAGES, labels_file) == LabelCheck(right=2, counted=2)


def test_half_precision_is_understood(labels_file):
    outputs = {"prob": _outputs(3)["prob"].astype(np.float16)}

    assert check_labels(outputs, _IMAGES, labels_file).right == 1


def test_an_output_that_is_not_a_number_is_wrong(labels_file):
    outputs = _outputs(3, 1)
    outputs["prob"][0, 9] = np.nan

    assert check_labels(outputs, _IMAGES, labels_file) == LabelCheck(right=1, counted=2)


@pytest.mark.parametrize("prefix", ["images/", "./", r"images\\", "\ufeff"])
def test_labels_are_found_behind_a_folder_and_a_byte_order_mark(tmp_path, prefix):
    path = tmp_path / "labels.json"
    mark, folder = (prefix, "") if prefix == "\ufeff" else ("", prefix)
    path.write_text(f'{mark}[{{"file": "{folder}a.jpg", "accept_classes": [3]}}]', encoding="utf-8")

    assert check_labels(_outputs(3), _IMAGES, path) == LabelCheck(right=1, counted=1)


@pytest.mark.parametrize("content", ["", "{", "[1]", '[{"file": "a.jpg"}]', '{"a.jpg": [1]}'])
def test_a_file_of_another_form_is_refused(tmp_path, content):
    path = tmp_path / "labels.json"
    path.write_text(content, encoding="utf-8")

    with pytest.raises(BadInputError, match=r"labels\.json is not a list of labels"):
        check_labels(_outputs(1), _IMAGES, path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(BadInputError, match=r"cannot read the labels .*labels\.json: No such file"):
        check_labels(_outputs(1), _IMAGES, tmp_path / "labels.json")
