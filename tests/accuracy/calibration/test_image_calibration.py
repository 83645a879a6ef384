"""From a folder of images to a table: batches, images that cannot be used, and files under a wrong name."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest

from asyncbench.accuracy.calibration.image_calibration import calibrate_on_images, parse_method
from asyncbench.accuracy.calibration.table import Method, MethodName
from asyncbench.errors import BadInputError
from asyncbench.models.graphs import write_model
from asyncbench.sweep.config import check_config

MIN_MAX = Method(name=MethodName.MIN_MAX)


@pytest.fixture(scope="module")
def mobilenet(tmp_path_factory) -> Path:
    return write_model("mobilenet", tmp_path_factory.mktemp("models"), 0)


def fixed_to(batch: int, mobilenet: Path, path: Path) -> Path:
    model = onnx.load(str(mobilenet))
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.shape.dim[0].dim_value = batch
    onnx.save(model, str(path))
    return path


def write_images(folder: Path, *names: str, shape: tuple[int, int] = (8, 8)) -> Path:
    folder.mkdir(exist_ok=True)
    for index, name in enumerate(names):
        pixels = np.full((*shape, 3), 30 * (index + 1), dtype=np.uint8)
        (folder / name).write_bytes(cv2.imencode(".png", pixels)[1].tobytes())
    return folder


def calibrated(model_file: Path, folder: Path, *, model: str | None = None):
    """Return the names of the images in the table, and what was left out and why."""
    given = {"model_file": str(model_file)} | ({} if model is None else {"model": model})
    left_out: dict[str, str] = {}
    table = calibrate_on_images(
        check_config(given, source=""),
        folder,
        folder.parent / "table.json",
        subset=None,
        method=MIN_MAX,
        model_folder=folder.parent / "models",
        on_left_out=left_out.__setitem__,
        on_progress=lambda *_: None,
    )
    return [image.name for image in table.images], left_out


@pytest.mark.slow
@pytest.mark.parametrize("batch", [1, 2])
def test_a_network_of_a_fixed_batch_is_calibrated_at_that_batch(mobilenet, tmp_path, batch):
    model = fixed_to(batch, mobilenet, tmp_path / "fixed.onnx")
    folder = write_images(tmp_path / "images", "a.png", "b.png", "c.png")

    used, left_out = calibrated(model, folder)

    assert used == ["a.png", "b.png", "c.png"][: 3 // batch * batch]
    assert left_out == ({} if batch == 1 else {"c.png": "it does not fill a batch of 2"})


@pytest.mark.slow
def test_fewer_images_than_a_fixed_batch_are_refused(mobilenet, tmp_path):
    model = fixed_to(4, mobilenet, tmp_path / "fixed.onnx")
    folder = write_images(tmp_path / "images", "a.png", "b.png")

    with pytest.raises(
        BadInputError, match=r"fixed\.onnx runs at batch 4 only, and the folder has 2 images: .* 4 or more"
    ):
        calibrated(model, folder)


@pytest.mark.slow
def test_images_that_cannot_be_prepared_are_left_out_by_name_and_the_next_take_their_places(mobilenet, tmp_path):
    model = fixed_to(2, mobilenet, tmp_path / "fixed.onnx")
    folder = write_images(tmp_path / "images", "a.png", "z.png")
    write_images(folder, "line.png", shape=(1, 65000))
    (folder / "broken.png").write_bytes(b"no image")

    used, left_out = calibrated(model, folder)

    assert used == ["a.png", "z.png"]
    assert sorted(left_out) == ["broken.png", "line.png"]
    assert "65000 x 1 pixels" in left_out["line.png"]


@pytest.mark.slow
def test_a_file_that_is_another_known_network_than_the_one_named_is_refused(mobilenet, tmp_path):
    folder = write_images(tmp_path / "images", "a.png")

    with pytest.raises(BadInputError, match=r"\.onnx is mobilenet, not resnet50"):
        calibrated(mobilenet, folder, model="resnet50")

    assert not (tmp_path / "table.json").exists()


def test_a_file_that_does_not_take_the_images_of_the_network_named_is_refused(network_path, tmp_path):
    folder = write_images(tmp_path / "images", "a.png")

    with pytest.raises(
        BadInputError,
        match=r"net\.onnx is not ResNet-50 v1: its input is \(N, 3, 8, 8\) float32, that of resnet50 ",
    ):
        calibrated(network_path, folder, model="resnet50")


def test_a_percentile_is_the_one_given_or_the_usual_one():
    assert parse_method("percentile", None) == Method(name=MethodName.PERCENTILE, percentile=99.99)
    assert parse_method("percentile", 99.0) == Method(name=MethodName.PERCENTILE, percentile=99.0)


@pytest.mark.parametrize("percentile", [0.0, -1.0, 100.1, float("nan"), float("inf")])
def test_a_percentile_out_of_range_is_refused(percentile):
    with pytest.raises(BadInputError, match="is not a percentile: give one above 0 and up to 100"):
        parse_method("percentile", percentile)
