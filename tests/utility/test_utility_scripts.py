"""convert-calibration, prepare-dataset and make-labels, as their users run them, on small data made here."""

from __future__ import annotations

import codecs
import hashlib
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from onnx import helper

from asyncbench.accuracy.calibration.table import read_table
from asyncbench.accuracy.datasets.opening import open_dataset
from asyncbench.models.inspection import inspect_model
from asyncbench.testing import write_network

UTILITY = Path(__file__).parents[2] / "utility"
CACHE = b"TRT-8601-EntropyCalibration2\nx: 3c010204\nconv: 3d8872b0\n"

pytestmark = pytest.mark.slow  # each starts a Python that imports OpenCV or ONNX Runtime


def run(script: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, UTILITY / script, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def write_images(folder: Path, *names: str) -> Path:
    for index, name in enumerate(names):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(cv2.imencode(".png", np.full((4, 4, 3), index, dtype=np.uint8))[1].tobytes())
    return folder


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture
def model(tmp_path) -> Path:
    nodes = [helper.make_node("Conv", ["x", "w"], ["conv"]), helper.make_node("Relu", ["conv"], ["y"])]
    weights = {"w": np.ones((2, 3, 1, 1), dtype=np.float32)}
    ends = {"inputs": {"x": ["N", 3, 4, 4]}, "outputs": {"y": ["N", 2, 4, 4]}}
    return write_network(tmp_path / "tiny.onnx", nodes, **ends, constants=weights)


@pytest.mark.parametrize("script", ["convert-calibration", "prepare-dataset", "make-labels"])
def test_every_script_explains_itself(script):
    result = run(script, "--help")

    assert result.returncode == 0
    assert result.stdout.startswith(f"usage: {script}")


def test_a_cache_becomes_a_table_of_the_model_that_is_named_and_a_cache_again(tmp_path, model):
    (tmp_path / "old.cache").write_bytes(CACHE)

    there = run("convert-calibration", "to-table", tmp_path / "old.cache", tmp_path / "t.json", "--model", model)
    back = run("convert-calibration", "to-cache", tmp_path / "t.json", tmp_path / "new.cache", "--tensorrt", "8.6.0")

    assert (there.returncode, back.returncode) == (0, 0)
    assert read_table(tmp_path / "t.json").model_sha256 == inspect_model(model).sha256
    assert (tmp_path / "new.cache").read_bytes() == CACHE.replace(b"8601", b"8600")
    assert "lost: which images" in there.stderr
    assert "lost: the model's hash" in back.stderr


def test_a_cache_of_another_model_is_refused_and_nothing_is_written(tmp_path, model):
    (tmp_path / "old.cache").write_bytes(CACHE.replace(b"conv", b"other"))

    result = run("convert-calibration", "to-table", tmp_path / "old.cache", tmp_path / "t.json", "--model", model)

    assert result.returncode == 2
    assert "old.cache is of another model: 1 of its 2 tensors are not in the graph (other)" in result.stderr
    assert not (tmp_path / "t.json").exists()


def test_a_conversion_replaces_a_file_only_when_it_is_told_to(tmp_path):
    (tmp_path / "old.cache").write_bytes(CACHE)
    (tmp_path / "t.json").write_text("mine")
    (tmp_path / "link.json").symlink_to("t.json")
    command = ("convert-calibration", "to-table", tmp_path / "old.cache", tmp_path / "link.json")

    refused = run(*command)
    before = (tmp_path / "t.json").read_text()
    forced = run(*command, "--force")

    assert (refused.returncode, before) == (2, "mine")
    assert "link.json is there already: name another file, or use --force" in refused.stderr
    assert forced.returncode == 0
    assert list(read_table(tmp_path / "t.json").ranges) == ["x", "conv"]
    assert (tmp_path / "link.json").is_symlink()


def test_a_pipe_is_refused_in_one_line_and_stays(tmp_path):
    (tmp_path / "old.cache").write_bytes(CACHE)
    os.mkfifo(tmp_path / "pipe")

    result = run("convert-calibration", "to-table", tmp_path / "old.cache", tmp_path / "pipe", "--force")

    assert result.returncode == 2
    assert result.stderr.splitlines() == [
        f"convert-calibration: cannot write {tmp_path / 'pipe'}: it is not a regular file: name another file"
    ]
    assert (tmp_path / "pipe").is_fifo()


def test_what_our_own_readers_refuse_is_not_written(tmp_path):
    (tmp_path / "unnamed.cache").write_bytes(b"1\n(Unnamed Layer* 4) [Constant]_output: 3d65992f\n")
    (tmp_path / "dead.cache").write_bytes(b"1\nconv: 00000000\n")

    unnamed = run("convert-calibration", "to-table", tmp_path / "unnamed.cache", tmp_path / "u.json")
    run("convert-calibration", "to-table", tmp_path / "dead.cache", tmp_path / "d.json")
    dead = run("convert-calibration", "to-cache", tmp_path / "d.json", tmp_path / "d.cache", "--tensorrt", "8.6.1")

    assert (unnamed.returncode, dead.returncode) == (2, 2)
    assert "unnamed.cache has only tensors that TensorRT knows: (Unnamed Layer* 4)" in unnamed.stderr
    assert "needs a tensor whose range is above 0" in dead.stderr
    assert not (tmp_path / "u.json").exists()
    assert not (tmp_path / "d.cache").exists()


def test_a_cache_that_is_cut_off_is_refused_with_the_line(tmp_path):
    (tmp_path / "old.cache").write_bytes(CACHE[:-5])

    result = run("convert-calibration", "to-table", tmp_path / "old.cache", tmp_path / "t.json")

    assert result.returncode == 2
    assert "line 3: 'conv: 3d88'" in result.stderr


def test_a_subset_of_labelled_images_is_a_dataset_with_links_labels_and_hashes(tmp_path):
    source = write_images(tmp_path / "big", "a.png", "b.png", "c.png", "d.png")
    (source / "val.txt").write_text("a.png 0\nb.png 0\nc.png 1\nd.png 1\n")

    result = run("prepare-dataset", source, tmp_path / "out", "--subset", "first 1 per class")

    assert (result.returncode, result.stderr) == (0, "")
    dataset = open_dataset(tmp_path / "out")
    manifest = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert [(item.name, item.classes) for item in dataset.items] == [("a.png", (0,)), ("c.png", (1,))]
    assert (tmp_path / "out" / "a.png").is_symlink()
    assert manifest["subset"] == "first 1 per class"
    assert manifest["images"][0] == {"name": "a.png", "sha256": sha256(source / "a.png"), "classes": [0]}
    assert sorted(path.name for path in tmp_path.iterdir()) == ["big", "out"]


def test_class_folders_become_one_folder_with_labels_and_copies_are_files(tmp_path):
    source = write_images(tmp_path / "big", "n0001/a.png", "n0001/b.png", "n0900/c.png")
    for index in range(1000):
        (source / f"n{index:04}").mkdir(exist_ok=True)

    result = run("prepare-dataset", source, tmp_path / "out", "--subset", "first 1 per class", "--copy")

    assert result.returncode == 0, result.stderr
    dataset = open_dataset(tmp_path / "out")
    assert [(item.name, item.classes) for item in dataset.items] == [("a.png", (1,)), ("c.png", (900,))]
    assert not (tmp_path / "out" / "a.png").is_symlink()


def test_images_of_the_same_name_in_two_class_folders_are_refused(tmp_path):
    source = write_images(tmp_path / "big", "n0001/a.png", "n0900/a.png")
    for index in range(1000):
        (source / f"n{index:04}").mkdir(exist_ok=True)

    result = run("prepare-dataset", source, tmp_path / "out")

    assert result.returncode == 2
    assert "a.png is the name of several images" in result.stderr


@pytest.mark.parametrize(("id_type", "prefix"), [(int, ""), (str, ""), (int, "val2017/"), (int, "images\\")])
def test_coco_keeps_the_annotations_of_the_chosen_images_however_ids_and_names_are_written(tmp_path, id_type, prefix):
    source = write_images(tmp_path / "big", "1.png", "2.png")
    annotations = [
        {"id": 10 + image, "image_id": id_type(image), "category_id": 1, "bbox": [0, 0, 2, 2], "area": 4, "iscrowd": 0}
        for image in (1, 2)
    ]
    images = [{"id": id_type(image), "file_name": f"{prefix}{image}.png", "width": 4, "height": 4} for image in (1, 2)]
    truth = {"images": images, "annotations": annotations, "categories": [{"id": 1, "name": "person"}]}
    (source / "instances.json").write_text(json.dumps(truth))

    result = run("prepare-dataset", source, tmp_path / "out", "--subset", "every 2nd")

    assert result.returncode == 0, result.stderr
    written = json.loads((tmp_path / "out" / "instances.json").read_text())
    assert [one["id"] for one in written["annotations"]] == [11]
    assert [(one["id"], one["file_name"]) for one in written["images"]] == [(id_type(1), "1.png")]
    assert written["categories"] == truth["categories"]
    assert [item.image_id for item in open_dataset(tmp_path / "out").items] == [1]


def test_a_second_subset_leaves_out_the_images_of_the_first_by_their_bytes(tmp_path):
    source = write_images(tmp_path / "big", "a.png", "b.png", "c.png")
    run("prepare-dataset", source, tmp_path / "test", "--subset", "every 2nd")
    manifest = tmp_path / "test" / "manifest.json"
    manifest.write_bytes(codecs.BOM_UTF16_LE + manifest.read_text().encode("utf-16-le"))  # as PowerShell copies it

    result = run("prepare-dataset", source, tmp_path / "calibration", "--not-in", manifest)

    assert result.returncode == 0, result.stderr
    assert [item.name for item in open_dataset(tmp_path / "calibration").items] == ["b.png"]


def test_a_folder_that_is_there_already_is_left_alone(tmp_path):
    source = write_images(tmp_path / "big", "a.png")
    out = write_images(tmp_path / "out", "mine.png")

    result = run("prepare-dataset", source, out)

    assert result.returncode == 2
    assert "is there already" in result.stderr
    assert [path.name for path in out.iterdir()] == ["mine.png"]


def test_labels_are_written_from_numbers_and_names(tmp_path):
    folder = write_images(tmp_path / "images", "cat.png", "dog.png")
    (tmp_path / "names.txt").write_text("tabby\nbeagle\n")
    (tmp_path / "labels.csv").write_text("file,classes\ndog.png,beagle\ncat.png,0; 281\n")

    result = run("make-labels", folder, tmp_path / "labels.csv", "--names", tmp_path / "names.txt")

    assert result.returncode == 0, result.stderr
    dataset = open_dataset(folder)
    assert [(item.name, item.classes) for item in dataset.items] == [("cat.png", (0, 281)), ("dog.png", (1,))]


@pytest.mark.parametrize(
    ("csv", "message"),
    [
        ("cat.png,0\n", "1 images of .* have no label, such as dog.png: add them, or use --partial"),
        ("cat.png,0\ndog.png,1\nfox.png,2\n", "1 files are not in .*, such as fox.png"),
        ("cat.png,0\ncat.png,1\n", "line 2: cat.png comes a second time"),
        ("cat.png,0,1\n", "line 1: 'cat.png,0,1' is not `file,classes`"),
        ("cat.png,tabby\n", "line 1: 'tabby' is not a class"),
        ("cat.png,-1\n", "line 1: '-1' is not a class"),
        ('cat.png,"0\n', "cannot read .*labels.csv"),
    ],
)
def test_a_csv_that_does_not_fit_is_refused_and_nothing_is_written(tmp_path, csv, message):
    folder = write_images(tmp_path / "images", "cat.png", "dog.png")
    (tmp_path / "labels.csv").write_text(csv)

    result = run("make-labels", folder, tmp_path / "labels.csv")

    assert result.returncode == 2
    assert not (folder / "labels.json").exists()
    assert re.search(message, result.stderr)
