"""int8 of the published weights, calibrated on other images than it is tested on, through ONNX Runtime."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime
import pytest

from asyncbench.accuracy.calibration.calibrate import CalibrationBatch, calibrate
from asyncbench.accuracy.calibration.quantized_graph import write_quantized_model
from asyncbench.accuracy.calibration.table import Method, MethodName, hash_images, refuse_overlap
from asyncbench.models.catalog import find_model
from asyncbench.models.image_folder import find_images
from asyncbench.models.label_check import check_labels
from asyncbench.models.preparation import prepare, read_image
from asyncbench.tensors import AnyArray

pytestmark = pytest.mark.slow

SHARED = Path(__file__).parents[3].parent / "shared"
IMAGENET, COCO = SHARED / "images" / "imagenet", SHARED / "images" / "coco"
FILES = {
    "mobilenet": "mobilenet_v1_1.0_224.onnx",
    "resnet50": "resnet50_v1.onnx",
    "ssdmobilenet": "ssd_mobilenet_v1_coco_300.onnx",
}


@pytest.fixture(scope="module", autouse=True)
def _shared_files():
    if not (SHARED / "models").is_dir():
        pytest.skip("../shared is not beside the repository")


def outputs_of(model: Path, items: AnyArray) -> dict[str, AnyArray]:
    session = onnxruntime.InferenceSession(str(model), providers=["CPUExecutionProvider"])
    return dict(zip([one.name for one in session.get_outputs()], session.run(None, {"input": items}), strict=True))


def fp32_and_int8(name: str, tmp_path: Path, *, calibration: Path, test: Path, method: Method):
    """Return the outputs of both on the test images, and those images."""
    model, recipe = SHARED / "models" / FILES[name], find_model(name).recipe
    calibration_paths, paths = find_images(calibration), find_images(test)[:10]
    refuse_overlap(hash_images(calibration_paths), hash_images(paths))
    batches = (
        CalibrationBatch(inputs={"input": prepare(read_image(path), recipe)[None]}, images=hash_images([path]))
        for path in calibration_paths
    )
    table = calibrate(model, batches, method=method, recipe=str(recipe), on_progress=lambda _: None)
    write_quantized_model(model, table, tmp_path / "int8.onnx")
    items = np.stack([prepare(read_image(path), recipe) for path in paths])
    return outputs_of(model, items), outputs_of(tmp_path / "int8.onnx", items), paths


@pytest.mark.parametrize(
    ("name", "method", "min_right"),
    [
        ("mobilenet", Method(name=MethodName.ENTROPY), 8),
        ("mobilenet", Method(name=MethodName.PERCENTILE, percentile=99.99), 8),
        ("mobilenet", Method(name=MethodName.MIN_MAX), 8),
        ("resnet50", Method(name=MethodName.ENTROPY), 10),
    ],
    ids=str,
)
def test_a_classifier_in_int8_is_right_as_often_as_in_fp32_but_for_one_image(tmp_path, name, method, min_right):
    fp32, int8, paths = fp32_and_int8(name, tmp_path, calibration=COCO, test=IMAGENET, method=method)

    right = {
        what: check_labels(one, paths, IMAGENET / "labels.json").right for what, one in (("32", fp32), ("8", int8))
    }
    difference = np.abs(fp32["prob"] - int8["prob"])
    assert right["8"] >= max(min_right, right["32"] - 1)
    assert difference.mean() < 6e-4


def test_the_boxes_and_scores_of_the_detector_move_little(tmp_path):
    method = Method(name=MethodName.ENTROPY)
    fp32, int8, _ = fp32_and_int8("ssdmobilenet", tmp_path, calibration=IMAGENET, test=COCO, method=method)

    sure = fp32["scores"].max(axis=-1) > 0.5
    box_difference = np.abs(fp32["boxes"] - int8["boxes"])[sure]
    same_class = (fp32["scores"].argmax(-1) == int8["scores"].argmax(-1))[sure]
    assert sure.sum() > 20
    assert same_class.all()
    assert box_difference.mean() < 0.01
