"""A dataset: images in a fixed order, the truth about each, and what was left out and why."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from asyncbench.models.image_names import shown_name
from asyncbench.text_enum import TextEnum


class DatasetKind(TextEnum):
    """Source of the truth about the images."""

    LABEL_LIST = "label-list"  # lines of `name label`, labels from 0 in the order of the sorted synsets
    DEVKIT = "devkit"  # ILSVRC2012_validation_ground_truth.txt and meta.mat
    CLASS_FOLDERS = "class-folders"
    ACCEPTED_CLASSES = "accepted-classes"  # labels.json
    COCO = "coco"  # instances JSON
    IMAGES = "images"  # no truth: for speed and calibration


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One image.

    Attributes:
        name: Its path below the folder of the images, with `/`.
        classes: Those that are right for it, its own first, from 0; empty where the truth is none of classes.
        image_id: COCO's; None elsewhere.
        marked_sha256: Of what COCO's instances say of the image, in any order: its size and its objects' boxes,
            categories and crowd flags; None elsewhere.
        marked_name: What COCO's instances call it; None elsewhere.
        marked_size: Height and width in pixels as COCO's instances say; None where nothing does.
    """

    name: str
    path: Path
    classes: tuple[int, ...] = ()
    image_id: int | None = None
    marked_sha256: str | None = None
    marked_name: str | None = None
    marked_size: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOut:
    """An image, or a piece of truth, that cannot be used.

    Attributes:
        name: As in `Item`, or the name in the truth that no image has.
        reason: For people, and the same for all that are alike, so that it can be counted.
    """

    name: str
    reason: str

    def __str__(self) -> str:
        return f"{shown_name(self.name)}: {self.reason}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Dataset:
    """Images in the order in which they are used: sorted by name.

    Attributes:
        truth: The file with the labels or instances; None where the folders or nothing at all say it.
        class_count: Labels are below it; None where there are none.
        left_out: What was skipped so far.
        subset: What was chosen, in its canonical form; `all` where all of it was.
    """

    kind: DatasetKind
    folder: Path
    items: tuple[Item, ...]
    truth: Path | None = None
    class_count: int | None = None
    left_out: tuple[LeftOut, ...] = ()
    subset: str = "all"

    def left_out_counts(self) -> dict[str, int]:
        """Return how many were left out for each reason."""
        return dict(Counter(one.reason for one in self.left_out))


def selection_sha256(dataset: Dataset) -> str:
    """Return the SHA-256 of the chosen images, for the record: equal ones give comparable accuracies. Blocking.

    It is that of one line per image in order, `name TAB size in bytes TAB classes with commas TAB image id`, for COCO
    with `TAB marked_sha256`: the same images with other boxes give other figures. The size stands in for the
    contents: reading 6 GB to name a standard subset is too much, and a file that was decoded and written anew has
    another size. The folder is no part of it, so that the same subset is the same on all machines.

    Raises:
        OSError: An image has gone.
    """
    digest = hashlib.sha256()
    for item in dataset.items:
        classes = ",".join(map(str, item.classes))
        image_id = "" if item.image_id is None else item.image_id
        marked = "" if item.marked_sha256 is None else f"\t{item.marked_sha256}"
        line = f"{item.name}\t{item.path.stat().st_size}\t{classes}\t{image_id}{marked}\n"
        digest.update(line.encode("utf-8", "surrogateescape"))  # names on disk need not be UTF-8
    return digest.hexdigest()
