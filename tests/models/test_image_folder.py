from __future__ import annotations

import json
import os

import pytest

from asyncbench.errors import BadInputError
from asyncbench.models.image_folder import find_images, list_images, sample_image_folder
from asyncbench.models.preparation import read_image


def test_images_come_sorted_and_other_files_are_left_out(tmp_path):
    for name in ("b.JPG", "a.png", "c.webp", "labels.json", "notes.txt"):
        (tmp_path / name).touch()
    (tmp_path / "folder.jpg").mkdir()

    assert [path.name for path in find_images(tmp_path)] == ["a.png", "b.JPG", "c.webp"]


def test_a_folder_without_images_is_refused(tmp_path):
    with pytest.raises(BadInputError, match="no image") as caught:
        find_images(tmp_path)

    assert caught.value.remedy == "name a folder that has some"  # calibrate and accuracy have no --input
    assert list_images(tmp_path) == ()


def test_a_folder_with_images_in_folders_only_is_refused_with_the_reason(tmp_path):
    (tmp_path / "n01440764").mkdir()
    (tmp_path / "n01440764" / "a.jpg").touch()

    with pytest.raises(BadInputError, match="itself, and folders in it are not looked into"):
        find_images(tmp_path)


def test_what_is_called_an_image_and_is_no_file_is_left_out(tmp_path):
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "zero.jpg").symlink_to("/dev/zero")
    (tmp_path / "gone.jpg").symlink_to("nowhere")
    (tmp_path / "folder.jpg").mkdir()
    (tmp_path / "a.jpg").touch()

    assert [path.name for path in find_images(tmp_path)] == ["a.jpg"]


@pytest.mark.parametrize("name", ["missing", "file.txt"])
def test_what_is_no_folder_is_refused(tmp_path, name):
    (tmp_path / "file.txt").touch()

    with pytest.raises(BadInputError, match=f"cannot list the image folder .*{name}"):
        find_images(tmp_path / name)


def test_the_packaged_images_are_small_labelled_and_attributed():
    folder = sample_image_folder()
    images = find_images(folder)
    labels = {entry["file"]: entry for entry in json.loads((folder / "labels.json").read_text(encoding="utf-8"))}
    attribution = (folder / "ATTRIBUTION.md").read_text(encoding="utf-8")

    assert 4 <= len(images) <= 6
    assert {path.name for path in images} == set(labels)
    for path in images:
        height, width, _ = read_image(path).shape
        assert labels[path.name]["size"] == [width, height]
        assert 256 <= min(height, width) <= 288
        assert path.stat().st_size < 40 * 1024
        assert f"| {path.name} |" in attribution
