"""Files that say what is in images, as other programs write them: marks, encodings, folders in names, no files."""

from __future__ import annotations

import codecs
import json
import os
import socket

import pytest

from asyncbench.accuracy.datasets.dataset import DatasetKind, LeftOut, selection_sha256
from asyncbench.accuracy.datasets.opening import open_dataset
from asyncbench.accuracy.datasets.subset import NamesIn, choose
from asyncbench.accuracy.metrics.coco_truth import read_coco_truth
from asyncbench.errors import BadInputError

INSTANCES = {
    "images": [
        {"id": 1, "file_name": "a.jpg", "height": 20, "width": 24},
        {"id": 2, "file_name": "b.jpg", "height": 20, "width": 24},
    ],
    "annotations": [{"id": 5, "image_id": 1, "category_id": 1, "bbox": [1, 2, 3, 4], "iscrowd": 0}],
    "categories": [{"id": 1}],
}
TEXTS = {
    "val.txt": "a.jpg 1\r\nb.jpg 2\r\n",
    "labels.json": json.dumps([{"file": "a.jpg", "accept_classes": [1]}, {"file": "b.jpg", "accept_classes": [2]}]),
    "instances.json": json.dumps(INSTANCES),
}
MARKED = {
    "UTF-8": lambda text: codecs.BOM_UTF8 + text.encode(),
    "UTF-16 LE": lambda text: codecs.BOM_UTF16_LE + text.encode("utf-16-le"),
    "UTF-16 BE": lambda text: codecs.BOM_UTF16_BE + text.encode("utf-16-be"),
}


def make_folder(path):
    path.mkdir()


def make_socket(path):
    path_before = os.getcwd()  # noqa: PTH109 # a socket's path may have 107 characters only
    os.chdir(path.parent)
    try:
        with socket.socket(socket.AF_UNIX) as one:
            one.bind(path.name)
    finally:
        os.chdir(path_before)


NO_FILES = {
    "a pipe": (os.mkfifo, "it is a pipe"),
    "a folder": (make_folder, "it is a folder"),
    "a socket": (make_socket, "No such device or address"),
    "a device": (lambda path: path.symlink_to("/dev/zero"), "it is a device"),
    "a link to nothing": (lambda path: path.symlink_to("nowhere"), "No such file or directory"),
}


@pytest.mark.parametrize("mark", MARKED.values(), ids=MARKED)
@pytest.mark.parametrize("name", TEXTS)
def test_a_byte_order_mark_changes_neither_the_images_nor_their_hash(write_images, name, mark):
    folder = write_images("a.jpg", "b.jpg")
    (folder / name).write_bytes(TEXTS[name].encode())
    plain = open_dataset(folder)
    (folder / name).write_bytes(mark(TEXTS[name]))

    marked = open_dataset(folder)

    assert marked == plain
    assert (len(marked.items), marked.left_out) == (2, ())
    assert selection_sha256(marked) == selection_sha256(plain)


def test_marks_within_a_list_that_was_put_together_from_several_are_no_part_of_names(write_images):
    folder = write_images("a.jpg", "b.jpg")
    (folder / "val.txt").write_bytes(codecs.BOM_UTF8 + b"a.jpg 1\r\n" + codecs.BOM_UTF8 + b"b.jpg 2\r\n")

    assert [(item.name, item.classes) for item in open_dataset(folder).items] == [("a.jpg", (1,)), ("b.jpg", (2,))]


@pytest.mark.parametrize("mark", MARKED.values(), ids=MARKED)
def test_what_was_marked_in_images_is_read_behind_a_byte_order_mark(tmp_path, mark):
    path = tmp_path / "instances.json"
    path.write_bytes(mark(TEXTS["instances.json"]))

    assert [len(image.objects) for image in read_coco_truth(path).values()] == [1, 0]


@pytest.mark.parametrize("mark", MARKED.values(), ids=MARKED)
def test_a_list_of_names_is_read_behind_a_byte_order_mark(write_images, tmp_path, mark):
    dataset = open_dataset(write_images("a.jpg", "b.jpg"))
    (tmp_path / "list.txt").write_bytes(mark("a.jpg\r\n"))

    assert [item.name for item in choose(dataset, NamesIn(path=tmp_path / "list.txt")).items] == ["a.jpg"]


@pytest.mark.parametrize("name", TEXTS)
def test_another_encoding_is_refused_in_one_short_line_that_names_it(write_images, name):
    folder = write_images("a.jpg")
    (folder / name).write_bytes(b"\n" + TEXTS[name].encode() + "für.jpg".encode("latin-1") + b"x" * 10_000)

    with pytest.raises(BadInputError, match=rf"{name}: line \d is not UTF-8 text: name a file with labels") as caught:
        open_dataset(folder)

    assert len(str(caught.value)) < 300


@pytest.mark.parametrize("name", ["val.txt", "labels.json"])
def test_utf_16_without_a_mark_and_zeros_are_refused_in_one_short_line(write_images, name):
    folder = write_images("a.jpg")
    for content in (TEXTS[name].encode("utf-16-le"), bytes(1 << 20)):
        (folder / name).write_bytes(content)

        with pytest.raises(BadInputError, match="no labels in a form that is known") as caught:
            open_dataset(folder)

        assert str(caught.value).isprintable()
        assert len(str(caught.value)) < 600


@pytest.mark.parametrize(("make", "reason"), NO_FILES.values(), ids=NO_FILES)
@pytest.mark.parametrize("name", TEXTS)
def test_what_stands_in_the_place_of_labels_and_is_no_file_is_refused_at_once(write_images, name, make, reason):
    folder = write_images("a.jpg")
    make(folder / name)

    with pytest.raises(BadInputError, match=rf"cannot read the labels .*{name}: {reason}"):
        open_dataset(folder)


@pytest.mark.parametrize(("make", "reason"), NO_FILES.values(), ids=NO_FILES)
def test_a_list_that_is_no_file_is_refused(write_images, tmp_path, make, reason, monkeypatch):
    monkeypatch.setattr("asyncbench.files.user_file.PIPE_LIMIT_S", 0.1)
    dataset = open_dataset(write_images("a.jpg"))
    make(tmp_path / "list.txt")

    with pytest.raises(BadInputError, match=rf"cannot read the list .*list\.txt: {reason}"):
        choose(dataset, NamesIn(path=tmp_path / "list.txt"))


def test_images_that_are_no_files_are_labels_without_a_file(write_images):
    folder = write_images("a.jpg")
    names = []
    for number, (make, _) in enumerate(NO_FILES.values()):
        names.append(f"x{number}.jpg")
        if number != 3:  # a device would do for an image that never ends, if it were taken
            make(folder / names[-1])
        else:
            (folder / names[-1]).symlink_to("/dev/zero")
    (folder / "val.txt").write_text("".join(f"{name} 1\n" for name in ["a.jpg", *names]))

    dataset = open_dataset(folder)

    assert [item.name for item in dataset.items] == ["a.jpg"]
    assert dataset.left_out == tuple(LeftOut(name=name, reason="its label has no file") for name in names)


def test_a_folder_whose_name_is_too_long_is_refused(tmp_path):
    with pytest.raises(BadInputError, match="File name too long"):
        open_dataset(tmp_path / ("a" * 300))


@pytest.mark.parametrize("prefix", ["val/", "images\\", "./", "/data/val/", ""])
@pytest.mark.parametrize("name", TEXTS)
def test_images_that_are_listed_with_a_folder_are_found_under_their_own_names(write_images, name, prefix):
    folder = write_images("a.jpg", "b.jpg")
    (folder / name).write_text(TEXTS[name])
    plain = open_dataset(folder)
    escaped = prefix.replace("\\", "\\\\") if name.endswith("json") else prefix
    (folder / name).write_text(TEXTS[name].replace("a.jpg", f"{escaped}a.jpg").replace("b.jpg", f"{escaped}b.jpg"))

    listed = open_dataset(folder)

    assert [(item.name, item.path, item.classes) for item in listed.items] == [
        (item.name, item.path, item.classes) for item in plain.items
    ]
    assert listed.left_out == ()
    assert selection_sha256(listed) == selection_sha256(plain)


def test_what_was_marked_is_found_by_the_name_that_the_instances_have(write_images):
    folder = write_images("a.jpg", "b.jpg")
    (folder / "instances.json").write_text(TEXTS["instances.json"].replace("a.jpg", "val2017/a.jpg"))

    dataset = open_dataset(folder)

    marked = read_coco_truth(folder / "instances.json")
    assert dataset.kind is DatasetKind.COCO
    assert [len(marked[item.marked_name].objects) for item in dataset.items] == [1, 0]


def test_names_that_may_mean_the_same_image_are_left_out_on_both_sides(write_images):
    folder = write_images("a.jpg", "b.jpg")
    (folder / "val.txt").write_text("x/a.jpg 1\ny/a.jpg 2\nx/b.jpg 3\n")

    dataset = open_dataset(folder)

    assert [item.name for item in dataset.items] == ["b.jpg"]
    assert dataset.left_out == (
        LeftOut(name="a.jpg", reason="several listed names end in its name, in other folders"),
        LeftOut(name="x/a.jpg", reason="other listed names end in the same name, in other folders"),
        LeftOut(name="y/a.jpg", reason="other listed names end in the same name, in other folders"),
    )


def test_where_nothing_matches_a_name_of_either_side_is_shown_on_one_line(write_images):
    folder = write_images("a.jpg")
    (folder / "instances.json").write_text(TEXTS["instances.json"].replace("a.jpg", "val2017/other\\nname.jpg"))

    with pytest.raises(BadInputError) as caught:
        open_dataset(folder)

    assert (
        "such as a.jpg: the instances do not list it; b.jpg: its label has no file: name the labels of these images"
        in str(caught.value)
    )
    assert str(caught.value).isprintable()


def test_a_list_of_names_may_have_folders_too(write_images, tmp_path):
    dataset = open_dataset(write_images("a.jpg", "b.jpg"))
    (tmp_path / "list.txt").write_text("images\\b.jpg\n")

    assert [item.name for item in choose(dataset, NamesIn(path=tmp_path / "list.txt")).items] == ["b.jpg"]


def test_a_name_on_disk_that_is_no_utf_8_has_a_hash(write_images):
    folder = write_images("a.jpg")
    (folder / "a.jpg").rename(folder / os.fsdecode(b"f\xfcr.jpg"))

    assert len(selection_sha256(open_dataset(folder))) == 64
