"""Opening of a folder as a dataset: the truth about its images is found, or clearly refused. All of it blocks."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from asyncbench.accuracy.datasets.dataset import Dataset, DatasetKind, Item, LeftOut
from asyncbench.accuracy.datasets.instances import match_instances
from asyncbench.accuracy.datasets.label_files import read_accepted_classes, read_devkit, read_label_list, read_labels
from asyncbench.accuracy.datasets.matching import check_range, match_labels
from asyncbench.accuracy.datasets.truth_file import first_line_of
from asyncbench.errors import BadInputError
from asyncbench.files.user_file import require_regular_file
from asyncbench.models.image_folder import find_images, list_images

IMAGENET_CLASSES = 1000

_IMAGE_FOLDERS = ("val2017", "val")
_TRUTH_PATTERNS = (
    "labels.json",
    "instances*.json",
    "annotations/instances_val*.json",
    "val.txt",
    "val_map.txt",
    "ILSVRC2012_validation_ground_truth.txt",
)


def open_dataset(
    folder: Path,
    *,
    truth: Path | None = None,
    kind: DatasetKind | None = None,
    class_count: int = IMAGENET_CLASSES,
) -> Dataset:
    """Return the images of a folder with what is known of them.

    Recognized are ILSVRC2012's validation set (images with a list of `name label`, with the devkit's ground truth and
    meta.mat, or in a folder per class), COCO's val2017 (images and instances), images with a labels.json, and any
    folder of images, of which nothing is known.

    Args:
        folder: The images, or the folder with `val2017` or `val` in it.
        truth: The labels or instances; None to look for them in the usual places.
        kind: What it must be; None to take what it is. `images` ignores the truth.
        class_count: Labels must be below it.

    Raises:
        BadInputError: It cannot be told what it is, it is something else than `kind`, the truth contradicts itself or
            cannot be read, or nothing usable is left.
    """
    try:
        return _open(folder, truth, kind, class_count)
    except OSError as error:  # one that may not be looked into, a name that is too long
        raise BadInputError(
            f"cannot look into {error.filename or folder} ({error.strerror})", remedy="name a folder of images"
        ) from error


def _open(folder: Path, truth: Path | None, kind: DatasetKind | None, class_count: int) -> Dataset:
    images_folder = _images_folder(folder)
    if kind is DatasetKind.IMAGES:
        return _images(images_folder)
    truth = truth or _find_truth(folder, images_folder)
    found = _kind_of(truth) if truth else _kind_without_truth(images_folder)
    if kind not in {None, found}:
        raise BadInputError(
            f"{truth or folder} is {found}, not {kind}", remedy="name the right folder or file of labels"
        )
    if truth is None:
        is_plain = found is DatasetKind.IMAGES
        return _images(images_folder) if is_plain else _class_folders(images_folder, class_count)
    if found is DatasetKind.COCO:
        items, left_out = match_instances(_named(images_folder), truth)
        return _dataset(found, images_folder, items, left_out, truth=truth, class_count=None)
    return _labelled(found, images_folder, truth, class_count)


def _images_folder(folder: Path) -> Path:
    if not folder.is_dir():
        raise BadInputError(f"there is no folder {folder}", remedy="name a folder of images")
    inner = [folder / name for name in _IMAGE_FOLDERS if (folder / name).is_dir()]
    if len(inner) > 1:
        raise BadInputError(f"{folder} has both {inner[0].name} and {inner[1].name}", remedy="name one of them")
    return inner[0] if inner else folder


def _find_truth(folder: Path, images_folder: Path) -> Path | None:
    inside = {path for place in {folder, images_folder} for name in _TRUTH_PATTERNS for path in _there(place, name)}
    # The usual neighbours of a folder `val2017` or `val`.
    place, name = images_folder.resolve().parent, images_folder.name
    neighbours = (place / "annotations" / f"instances_{name}.json", place / f"{name}.txt")
    named = {*inside, *(path for path in neighbours if path.is_file())}
    for path in sorted(named):
        require_regular_file(path, what="cannot read the labels", remedy="make it a file, or take it out of the folder")
    found = sorted({path.resolve() for path in named})
    if len(found) > 1:
        names = ", ".join(map(str, found))
        raise BadInputError(f"more than one file says what is in {folder}: {names}", remedy="say which one holds")
    return found[0] if found else None


def _there(place: Path, pattern: str) -> list[Path]:
    """Return what stands under a name or pattern, links that lead nowhere included, which `glob` leaves out."""
    if "*" in pattern:
        return list(place.glob(pattern))
    path = place / pattern
    return [path] if os.path.lexists(path) else []


def _kind_of(truth: Path) -> DatasetKind:
    first = first_line_of(read_labels(truth))
    if not first:
        raise BadInputError(f"{truth} is empty", remedy="name a file with labels")
    if first.startswith("{"):
        return DatasetKind.COCO
    if first.startswith("["):
        return DatasetKind.ACCEPTED_CLASSES
    return DatasetKind.DEVKIT if first.isdecimal() else DatasetKind.LABEL_LIST


def _kind_without_truth(folder: Path) -> DatasetKind:
    try:
        find_images(folder)
    except BadInputError:
        if _subfolders(folder):
            return DatasetKind.CLASS_FOLDERS
        raise
    return DatasetKind.IMAGES


def _labelled(kind: DatasetKind, folder: Path, truth: Path, class_count: int) -> Dataset:
    images = _named(folder)
    if kind is DatasetKind.DEVKIT:
        labels = read_devkit(truth, images, class_count=class_count)
    elif kind is DatasetKind.ACCEPTED_CLASSES:
        labels = read_accepted_classes(truth)
    else:
        labels = read_label_list(truth)
    check_range(labels, truth, class_count=class_count)
    items, left_out = match_labels(images, labels, source=truth)
    return _dataset(kind, folder, items, left_out, truth=truth, class_count=class_count)


def _class_folders(folder: Path, class_count: int) -> Dataset:
    subfolders = _subfolders(folder)
    if len(subfolders) != class_count:
        raise BadInputError(
            f"{folder} has {len(subfolders)} folders, and a label is a place among all {class_count} sorted ones",
            remedy="name a folder with one folder for each class, empty where need be, or a file of labels",
        )
    items = [
        Item(name=f"{inner.name}/{path.name}", path=path, classes=(label,))
        for label, inner in enumerate(subfolders)
        for path in list_images(inner)
    ]
    if not items:
        raise BadInputError(f"no image in the class folders of {folder}", remedy="name a folder that has some")
    return _dataset(DatasetKind.CLASS_FOLDERS, folder, items, (), truth=None, class_count=class_count)


def _images(folder: Path) -> Dataset:
    items = [Item(name=name, path=path) for name, path in _named(folder).items()]
    return _dataset(DatasetKind.IMAGES, folder, items, (), truth=None, class_count=None)


def _named(folder: Path) -> dict[str, Path]:
    return {path.name: path for path in find_images(folder)}


def _subfolders(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))


def _dataset(
    kind: DatasetKind,
    folder: Path,
    items: Sequence[Item],
    left_out: tuple[LeftOut, ...],
    *,
    truth: Path | None,
    class_count: int | None,
) -> Dataset:
    if not items:
        # One of each reason: an image that is not listed beside what the list has instead.
        examples = {one.reason: str(one) for one in reversed(left_out)}
        such_as = f", such as {'; '.join(reversed(examples.values()))}" if examples else ""
        raise BadInputError(
            f"no image of {folder} can be used, {len(left_out)} were left out{such_as}",
            remedy="name the labels of these images",
        )
    return Dataset(
        kind=kind, folder=folder, items=tuple(items), truth=truth, class_count=class_count, left_out=left_out
    )
