"""Images in, right answers out: preparation and decoding together, with the published weights."""

from __future__ import annotations

import json

import numpy as np
import onnxruntime
import pytest

from asyncbench.models.catalog import find_model
from asyncbench.models.decoding import decode_boxes, intersection_over_union
from asyncbench.models.image_folder import find_images, sample_image_folder
from asyncbench.models.inputs import make_inputs
from asyncbench.models.inspection import inspect_model
from asyncbench.models.label_check import LabelCheck, check_labels
from asyncbench.models.preparation import prepare, read_image
from asyncbench.sweep.cell import InputKind

pytestmark = pytest.mark.slow


def _session(path):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(path, options)


def _check(path, name, folder):
    """Run all images of a folder, one inference each to keep memory small, and check their classes."""
    images = find_images(folder)
    session = _session(path)
    inputs = make_inputs(
        inspect_model(path).inputs,
        kind=InputKind.IMAGES,
        batch=len(images),
        seed=0,
        recipe=find_model(name).recipe,
        image_paths=images,
    )
    prob = np.concatenate([session.run(["prob"], {"input": item[None]})[0] for item in inputs["input"]])
    return check_labels({"prob": prob}, images, folder / "labels.json")


def test_resnet50_names_all_images(shared_folder):
    path = shared_folder / "models" / "resnet50_v1.onnx"

    assert _check(path, "resnet50", shared_folder / "images" / "imagenet") == LabelCheck(right=10, counted=10)
    assert _check(path, "resnet50", sample_image_folder()) == LabelCheck(right=5, counted=5)


def test_mobilenet_names_at_least_eight_of_ten_images_and_all_packaged_ones(shared_folder):
    path = shared_folder / "models" / "mobilenet_v1_1.0_224.onnx"

    assert _check(path, "mobilenet", shared_folder / "images" / "imagenet").right >= 8
    assert _check(path, "mobilenet", sample_image_folder()) == LabelCheck(right=5, counted=5)


def test_ssdmobilenet_finds_the_objects_of_coco(shared_folder):
    folder = shared_folder / "images" / "coco"
    truth = json.loads((folder / "instances.json").read_text(encoding="utf-8"))
    session = _session(shared_folder / "models" / "ssd_mobilenet_v1_coco_300.onnx")

    found = matched = 0
    for image in truth["images"]:
        item = prepare(read_image(folder / image["file_name"]), find_model("ssdmobilenet").recipe)
        boxes, scores = session.run(["boxes", "scores"], {"input": item[None]})
        detections = decode_boxes(boxes[0], scores[0], score_threshold=0.5)
        found += len(detections.scores)
        matched += _match(detections, _annotations(truth, image))

    assert matched >= 39
    assert matched / found > 0.85


def _annotations(truth, image):
    """Return category ids and `(n, 4)` boxes, ymin, xmin, ymax, xmax as shares of the image."""
    entries = [entry for entry in truth["annotations"] if entry["image_id"] == image["id"]]
    left, top, width, height = np.array([entry["bbox"] for entry in entries], dtype=np.float32).T
    boxes = np.stack([top, left, top + height, left + width], axis=1)
    boxes /= np.array([image["height"], image["width"]] * 2, dtype=np.float32)
    return [entry["category_id"] for entry in entries], boxes


def _match(detections, annotations):
    """Count detections, the surest first, that take an annotation of their class at an overlap of 0.5 or more."""
    categories, boxes = annotations
    free = np.ones(len(boxes), dtype=bool)
    matched = 0
    for box, category in zip(detections.boxes, detections.category_ids, strict=True):
        overlap = intersection_over_union(box, boxes) * free * (np.array(categories) == category)
        if overlap.max(initial=0) >= 0.5:
            free[overlap.argmax()] = False
            matched += 1
    return matched
