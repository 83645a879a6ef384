"""Accuracy and int8 through the whole tool, on published weights and labelled images."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SHARED = Path(__file__).parents[2].parent / "shared"
MOBILENET = SHARED / "models" / "mobilenet_v1_1.0_224.onnx"
LABELLED = SHARED / "images" / "imagenet"
CONVERT = Path(__file__).parents[2] / "utility" / "convert-calibration"
OTHERS = SHARED / "images" / "coco"
CPU = ("--backend", "onnxruntime")

needs_weights = pytest.mark.skipif(not MOBILENET.exists(), reason="../shared is not beside the repository")


@pytest.fixture(scope="module")
def few_images(tmp_path_factory):
    """Two images to calibrate on, which no test set has."""
    folder = tmp_path_factory.mktemp("calibration")
    for path in sorted(OTHERS.glob("*.jpg"))[:2]:
        shutil.copy(path, folder)
    return folder


@pytest.fixture(scope="module")
def table(make_tool, tmp_path_factory, few_images):
    """A calibration table of the published weights."""
    tool = make_tool(tmp_path_factory.mktemp("table"))
    tool.run("calibrate", "mobilenet", "--model", MOBILENET, "--images", few_images, "--output", "table.json")
    return tool.folder / "table.json"


@pytest.fixture(scope="module")
def plain_cells(make_tool, tmp_path_factory):
    """The accuracy of the published weights on the labelled images as they are."""
    tool = make_tool(tmp_path_factory.mktemp("plain"))
    tool.run("accuracy", "mobilenet", "--model", MOBILENET, "--dataset", LABELLED, *CPU, "--output", "out.jsonl")
    return tool.cells()


@pytest.fixture
def own_labelled(tmp_path):
    """A copy of the labelled images that may be changed."""
    folder = tmp_path / "imagenet"
    shutil.copytree(LABELLED, folder)
    for path in (folder, *folder.iterdir()):
        path.chmod(0o755)
    return folder


@pytest.mark.slow
@needs_weights
def test_every_point_of_a_grid_has_the_same_accuracy_and_no_speed(tool):
    points = ("--batch", "1,4", "--concurrency", "1,2")

    tool.run(
        "accuracy", "mobilenet", "--model", MOBILENET, "--dataset", LABELLED, *points, *CPU, "--output", "out.jsonl"
    )

    found = [cell["accuracy"] for cell in tool.cells()]
    assert len(found) == 4
    assert all(each == found[0] for each in found)
    assert found[0]["metrics"]["top1"]["value"] >= 0.8
    assert found[0]["metrics"]["top1"]["published"]["low"] == 0.717
    assert {cell["throughput_items_s"] for cell in tool.cells()} == {None}


@pytest.mark.slow
@needs_weights
def test_a_sweep_adds_the_accuracy_of_each_batch_to_its_busiest_cell(tool):
    points = ("--batch", "1,2", "--concurrency", "1,2", "--iterations", "2", "--warmup", "none")
    quality = ("--accuracy", LABELLED, "--subset", "every 5th")

    tool.run("sweep", "mobilenet", "--model", MOBILENET, *quality, *points, *CPU, "--output", "out.jsonl")

    with_accuracy = {(cell["batch"], cell["concurrency"]): cell["accuracy"] for cell in tool.cells()}
    assert [point for point, accuracy in with_accuracy.items() if accuracy] == [(1, 2), (2, 2)]
    assert with_accuracy[1, 2]["n"] == 2
    assert all(cell["throughput_items_s"] > 0 for cell in tool.cells())


@pytest.mark.slow
@needs_weights
def test_int8_from_a_calibration_table_is_held_against_fp32(tool, table):
    quality = ("--dataset", LABELLED, "--precision", "int8", "--calibration", table, "--batch", "5")

    tool.run("accuracy", "mobilenet", "--model", MOBILENET, *quality, *CPU, "--output", "out.jsonl")

    (accuracy,) = (cell["accuracy"] for cell in tool.cells())
    assert accuracy["reference"].endswith("in fp32")
    assert accuracy["metrics"]["top1"]["drop"] == pytest.approx(
        accuracy["metrics"]["top1"]["reference_value"] - accuracy["metrics"]["top1"]["value"]
    )
    assert accuracy["drift"][0]["max_abs_difference"] > 0
    assert accuracy["calibrated_on"] == 0


@pytest.mark.slow
@needs_weights
def test_accuracy_on_images_that_were_calibrated_on_is_refused_and_counted_where_it_is_wanted(tool, tmp_path):
    folder = tmp_path / "two"
    folder.mkdir()
    for name in ("cat.png", "samoyed.png"):
        shutil.copy(LABELLED / name, folder)
    tool.run("calibrate", "mobilenet", "--model", MOBILENET, "--images", folder, "--output", "table.json")
    quality = ("--dataset", LABELLED, "--precision", "int8", "--calibration", "table.json")
    command = ("accuracy", "mobilenet", "--model", MOBILENET, *quality, *CPU, "--output", "out.jsonl")

    refused = tool.run(*command, check_code=2)
    tool.run(*command, "--allow-overlap")

    assert "2 of 10 images of the test set were calibrated on: cat.png, samoyed.png" in refused.stderr
    (cell,) = tool.cells()
    assert cell["accuracy"]["calibrated_on"] == 2


@pytest.mark.slow
@needs_weights
def test_a_calibration_counts_for_int8_alone_and_a_cache_does_not_say_what_it_has_seen(tool, table):
    converted = [sys.executable, CONVERT, "to-cache", table, "old.cache", "--tensorrt", "8.6.1"]
    subprocess.run(converted, cwd=tool.folder, check=True)
    quality = ("--dataset", LABELLED, "--subset", "every 5th", "--precision", "fp32,int8", "--calibration", "old.cache")

    tool.run("accuracy", "mobilenet", "--model", MOBILENET, *quality, *CPU, "--output", "out.jsonl")

    assert [(cell["precision"], cell["accuracy"]["calibrated_on"]) for cell in tool.cells()] == [
        ("fp32", 0),
        ("int8", None),
    ]


@pytest.mark.slow
@needs_weights
def test_going_on_with_other_labels_is_refused_and_nothing_is_written(tool, own_labelled):
    command = ("accuracy", "mobilenet", "--model", MOBILENET, "--dataset", own_labelled, "--batch", "1,2", *CPU)
    tool.run(*command, "--output", "out.jsonl")
    whole = (tool.folder / "out.jsonl").read_bytes()
    first_cell = whole[: whole.index(b"\n", whole.index(b'"kind":"cell"')) + 1]
    (tool.folder / "out.jsonl").write_bytes(first_cell)
    labels = json.loads((own_labelled / "labels.json").read_text())
    labels[0]["accept_classes"] = [7]
    (own_labelled / "labels.json").write_text(json.dumps(labels))

    refused = tool.run(*command, "--output", "out.jsonl", "--resume", check_code=2)

    assert "the data set imagenet has other images or labels than in the results file" in refused.stderr
    assert (tool.folder / "out.jsonl").read_bytes() == first_cell


@pytest.mark.slow
@needs_weights
def test_a_file_of_another_known_network_than_was_named_is_refused(tool):
    refused = tool.run("sweep", "resnet50", "--model", MOBILENET, *CPU, "--batch", "1", check_code=2)

    assert "is mobilenet, not resnet50" in refused.stderr


@pytest.mark.slow
@needs_weights
def test_a_data_set_without_one_usable_image_is_an_error_and_no_result(tool, tmp_path):
    folder = tmp_path / "junk"
    folder.mkdir()
    shutil.copy(LABELLED / "labels.json", folder)
    for label in json.loads((LABELLED / "labels.json").read_text()):
        (folder / label["file"]).write_bytes(b"no image")
    command = ("accuracy", "mobilenet", "--model", MOBILENET, "--dataset", folder, *CPU, "--output", "out.jsonl")

    tool.run(*command, check_code=3)

    (cell,) = tool.cells()
    assert cell["status"] == "error"
    assert cell["reasons"][0]["code"] == "accuracy_failed"
    assert "of 10 images of junk none can be used: cat.png: it cannot be decoded" in cell["reasons"][0]["text"]


@pytest.mark.slow
@needs_weights
def test_a_calibration_of_another_model_and_one_that_is_cut_off_are_refused_by_name(tool, few_images):
    tool.run("calibrate", "mobilenet", "--images", few_images, "--output", "table.json")
    (tool.folder / "torn.cache").write_bytes(b"TRT-8601-EntropyCalibration2\ninput: 3c01")
    quality = ("--dataset", LABELLED, "--precision", "int8", *CPU, "--calibration")

    other = tool.run("accuracy", "mobilenet", "--model", MOBILENET, *quality, "table.json", check_code=2)
    torn = tool.run("accuracy", "mobilenet", "--model", MOBILENET, *quality, "torn.cache", check_code=2)

    assert "table.json is a table of another model" in other.stderr
    assert "torn.cache" in torn.stderr


@pytest.mark.slow
@needs_weights
def test_labels_beside_the_images_of_a_sweep_that_cannot_be_read_are_refused_and_nothing_is_written(tool, own_labelled):
    (own_labelled / "labels.json").write_text("{bad")

    refused = tool.run("sweep", "--model", MOBILENET, "--images", own_labelled, *CPU, "--batch", "1", check_code=2)

    assert "labels.json is not a list of labels" in refused.stderr
    assert not list(tool.folder.glob("results/*"))


@pytest.mark.slow
@needs_weights
@pytest.mark.parametrize("prefix", ["", "val/"])
def test_a_mark_or_a_folder_before_the_names_of_the_labels_changes_nothing(tool, own_labelled, plain_cells, prefix):
    labels = json.loads((own_labelled / "labels.json").read_text())
    entries = [label | {"file": prefix + label["file"]} for label in labels]
    (own_labelled / "labels.json").write_text("\ufeff" + json.dumps(entries), encoding="utf-8")

    tool.run("accuracy", "mobilenet", "--model", MOBILENET, "--dataset", own_labelled, *CPU, "--output", "out.jsonl")

    assert [cell["accuracy"] for cell in tool.cells()] == [cell["accuracy"] for cell in plain_cells]


@pytest.mark.slow
@needs_weights
def test_a_corrupt_image_is_left_out_by_name_and_counted(tool, own_labelled):
    (own_labelled / "cat.png").write_bytes(b"no image")

    tool.run("accuracy", "mobilenet", "--model", MOBILENET, "--dataset", own_labelled, *CPU, "--output", "out.jsonl")

    (cell,) = tool.cells()
    assert cell["accuracy"]["n"] == 9
    assert cell["accuracy"]["skipped_items"] == [{"name": "cat.png", "reason": "it cannot be decoded"}]


def test_mode_accuracy_without_a_data_set_is_refused(tool):
    refused = tool.run("sweep", "mobilenet", "--mode", "accuracy", *CPU, "--batch", "1", check_code=2)

    assert "mode accuracy needs a labelled data set: name it with --dataset" in refused.stderr


def test_a_table_that_is_there_is_not_replaced_by_accident(tool, tmp_path):
    (tool.folder / "table.json").write_text("mine")

    refused = tool.run("calibrate", "mobilenet", "--images", tmp_path, "--output", "table.json", check_code=2)

    assert "table.json is there already" in refused.stderr
    assert (tool.folder / "table.json").read_text() == "mine"
