"""COCO's instances JSON, as far as it is needed to run a network; pycocotools reads the rest for the metric."""

from __future__ import annotations

import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from asyncbench.accuracy.datasets.coco_categories import refuse_other_categories
from asyncbench.accuracy.datasets.dataset import Item, LeftOut
from asyncbench.accuracy.datasets.matching import without_counterpart
from asyncbench.accuracy.datasets.truth_file import read_truth
from asyncbench.errors import BadInputError
from asyncbench.files.json_problem import json_problem
from asyncbench.models.image_names import match_names, shown_name

NOT_LISTED = "the instances do not list it"
NO_IMAGE = "its picture is not listed"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Listed:
    """What the file says of a picture, as `Item` has it."""

    image_id: int
    marked_sha256: str
    size: tuple[int, int] | None


def match_instances(pictures: Mapping[str, Path], truth: Path) -> tuple[tuple[Item, ...], tuple[LeftOut, ...]]:
    """Return the pictures that `truth` lists, sorted by name, and what was left out on either side.

    A picture without a box stays: a detection in it is a false one.

    Raises:
        BadInputError: `truth` cannot be read, has another form, lists a picture twice, or has categories that
            it does not list or that are not COCO's.
    """
    listed, orphans = _read(truth)
    match = match_names(listed, pictures, source=truth)
    items = tuple(
        Item(
            name=name,
            path=pictures[name],
            image_id=listed[marked_name].image_id,
            marked_sha256=listed[marked_name].marked_sha256,
            marked_name=marked_name,
            marked_size=listed[marked_name].size,
        )
        for name, marked_name in sorted(match.listed.items())
    )
    return items, (
        *without_counterpart(match, pictures, listed, unlisted=NOT_LISTED),
        *(LeftOut(name=name, reason=NO_IMAGE) for name in orphans),
    )


def _read(truth: Path) -> tuple[dict[str, _Listed], list[str]]:
    """Return what is said of each file name, and the names of annotations of no image."""
    remedy = "name COCO's instances_*.json"
    text = read_truth(truth, what="the instances", remedy=remedy)
    try:
        document = json.loads(text)
        images = [(str(image["file_name"]), int(image["id"])) for image in document["images"]]
        categories = {int(category["id"]): _name(category) for category in document["categories"]}
        annotations = [_annotation(entry) for entry in document["annotations"]]
        marked = _marked(document["images"], document["annotations"])
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError) as error:
        raise BadInputError(
            f"{truth} has no instances in COCO's form ({json_problem(error)})", remedy=remedy
        ) from error
    _refuse_repeated(truth, [name for name, _ in images])
    _refuse_repeated(truth, [f"image id {number}" for _, number in images])
    for number, _, category in annotations:
        if category not in categories:
            raise BadInputError(f"{truth}: annotation {number} is of the unknown category {category}", remedy=remedy)
    refuse_other_categories(categories, {category for *_, category in annotations}, truth)
    known = {number for _, number in images}
    listed = {
        name: _Listed(image_id=number, marked_sha256=marked[number], size=size)
        for (name, number), size in zip(images, map(_size, document["images"]), strict=True)
    }
    return listed, [f"annotation {number}" for number, image, _ in annotations if image not in known]


def _name(category: Mapping[str, Any]) -> str | None:
    name = category.get("name")
    return name if isinstance(name, str) else None


def _size(image: Mapping[str, Any]) -> tuple[int, int] | None:
    height, width = image.get("height"), image.get("width")
    return (height, width) if type(height) is int and type(width) is int else None


def _annotation(entry: Mapping[str, Any]) -> tuple[int, int, int]:
    return int(entry["id"]), int(entry["image_id"]), int(entry["category_id"])


def _marked(images: Sequence[Mapping[str, Any]], annotations: Iterable[Mapping[str, Any]]) -> dict[int, str]:
    """Return the `Item.marked_sha256` of each image id."""
    objects: dict[int, list[str]] = defaultdict(list)
    for entry in annotations:
        one = [int(entry["category_id"]), entry.get("bbox"), bool(entry.get("iscrowd", 0))]
        objects[int(entry["image_id"])].append(json.dumps(one))
    return {
        number: hashlib.sha256(
            json.dumps([image.get("height"), image.get("width"), sorted(objects[number])]).encode()
        ).hexdigest()
        for image in images
        for number in (int(image["id"]),)
    }


def _refuse_repeated(truth: Path, names: list[str]) -> None:
    for name, count in Counter(names).items():
        if count > 1:
            raise BadInputError(
                f"{truth} lists {shown_name(name)} {count} times", remedy="keep one entry of each picture"
            )
