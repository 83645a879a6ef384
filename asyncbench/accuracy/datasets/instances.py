"""COCO's instances JSON, as far as it is needed to run a network; pycocotools reads the rest for the metric."""

from __future__ import annotations

import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from asyncbench.accuracy.datasets.dataset import Item, LeftOut
from asyncbench.accuracy.datasets.matching import without_counterpart
from asyncbench.accuracy.datasets.truth_file import COCO_REMEDY, read_coco
from asyncbench.errors import BadInputError
from asyncbench.models.image_names import match_names, shown_name

NOT_LISTED = "the instances do not list it"
NO_IMAGE = "its image is not listed"
# 90 numbers, of which 80 are used; an empty place is one that COCO left out.
_NAMES = """\
person,bicycle,car,motorcycle,airplane,bus,train,truck,boat,traffic light,fire hydrant,,stop sign,parking meter,
bench,bird,cat,dog,horse,sheep,cow,elephant,bear,zebra,giraffe,,backpack,umbrella,,,handbag,tie,suitcase,frisbee,
skis,snowboard,sports ball,kite,baseball bat,baseball glove,skateboard,surfboard,tennis racket,bottle,,wine glass,
cup,fork,knife,spoon,bowl,banana,apple,sandwich,orange,broccoli,carrot,hot dog,pizza,donut,cake,chair,couch,
potted plant,bed,,dining table,,,toilet,,tv,laptop,mouse,remote,keyboard,cell phone,microwave,oven,toaster,sink,
refrigerator,,book,clock,vase,scissors,teddy bear,hair drier,toothbrush""".replace("\n", "").split(",")
COCO_CATEGORIES: Mapping[int, str] = {number: name for number, name in enumerate(_NAMES, start=1) if name}
_NUMBERS = {name: number for number, name in COCO_CATEGORIES.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Listed:
    """An image as the file lists it; see `Item`."""

    image_id: int
    marked_sha256: str
    size: tuple[int, int] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Document:
    """The parts of the file that are needed here.

    Attributes:
        images: File name and more of each, in the order of the file; a name may come twice.
        categories: Names by number; None where there is no name.
        annotations: Number, image id and category of each.
    """

    images: list[tuple[str, _Listed]]
    categories: dict[int, str | None]
    annotations: list[tuple[int, int, int]]


def match_instances(images: Mapping[str, Path], truth: Path) -> tuple[tuple[Item, ...], tuple[LeftOut, ...]]:
    """Return the images that `truth` lists, sorted by name, and what was left out on either side.

    An image without a box stays: a detection in it is a false one.

    Raises:
        BadInputError: `truth` cannot be read, has another form, lists an image twice, or has categories that
            it does not list or that are not COCO's.
    """
    listed, orphans = _read(truth)
    match = match_names(listed, images, source=truth)
    items = tuple(
        Item(
            name=name,
            path=images[name],
            image_id=listed[marked_name].image_id,
            marked_sha256=listed[marked_name].marked_sha256,
            marked_name=marked_name,
            marked_size=listed[marked_name].size,
        )
        for name, marked_name in sorted(match.listed.items())
    )
    return items, (
        *without_counterpart(match, images, listed, unlisted=NOT_LISTED),
        *(LeftOut(name=name, reason=NO_IMAGE) for name in orphans),
    )


def _read(truth: Path) -> tuple[dict[str, _Listed], list[str]]:
    """Return what is said of each file name, and the names of annotations of no image."""
    document = read_coco(truth, _take)
    _refuse_repeated(truth, [name for name, _ in document.images])
    _refuse_repeated(truth, [f"image id {listed.image_id}" for _, listed in document.images])
    for number, _, category in document.annotations:
        if category not in document.categories:
            what = f"annotation {number} is of the unknown category {category}"
            raise BadInputError(f"{truth}: {what}", remedy=COCO_REMEDY)
    refuse_other_categories(document.categories, {category for *_, category in document.annotations}, truth)
    known = {listed.image_id for _, listed in document.images}
    orphans = [f"annotation {number}" for number, image, _ in document.annotations if image not in known]
    return dict(document.images), orphans


def _take(document: Mapping[str, Any]) -> _Document:
    images = [(str(image["file_name"]), int(image["id"])) for image in document["images"]]
    categories = {int(category["id"]): _name(category) for category in document["categories"]}
    annotations = [(int(one["id"]), int(one["image_id"]), int(one["category_id"])) for one in document["annotations"]]
    marked = _marked(document["images"], document["annotations"])
    sizes = map(_size, document["images"])
    return _Document(
        images=[
            (name, _Listed(image_id=number, marked_sha256=marked[number], size=size))
            for (name, number), size in zip(images, sizes, strict=True)
        ],
        categories=categories,
        annotations=annotations,
    )


def _name(category: Mapping[str, Any]) -> str | None:
    name = category.get("name")
    return name if isinstance(name, str) else None


def _size(image: Mapping[str, Any]) -> tuple[int, int] | None:
    height, width = image.get("height"), image.get("width")
    return (height, width) if type(height) is int and type(width) is int else None


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
                f"{truth} lists {shown_name(name)} {count} times", remedy="keep one entry of each image"
            )


def refuse_other_categories(categories: Mapping[int, str | None], marked: Collection[int], source: Path) -> None:
    """Refuse instances that number objects otherwise than COCO, whose numbers networks put out: nothing would match.

    A name of their own for some of COCO's numbers (`aeroplane`) is no contradiction; none of COCO's names is one.

    Args:
        categories: The names by number, None where there is no name.
        marked: The numbers that annotations use, all of them in `categories`.

    Raises:
        BadInputError: A number is none of COCO's, means something else there, or no name is COCO's.
    """
    remedy = "give the categories COCO's numbers (person is 1, toothbrush is 90)"
    for number in sorted(marked):
        name = categories[number]
        shown = f"the category {number}" + (f" ({shown_name(name)})" if name is not None else "")
        if number not in COCO_CATEGORIES:
            raise BadInputError(f"{source}: {shown} has none of COCO's numbers, which networks put out", remedy=remedy)
        meant = _NUMBERS.get(_plain(name)) if name is not None else None
        if meant not in {None, number}:
            raise BadInputError(f"{source}: {shown} is {meant} in COCO, whose numbers networks put out", remedy=remedy)
    names = {number: _plain(name) for number in marked if (name := categories[number]) is not None}
    if names and not any(name in _NUMBERS for name in names.values()):
        number, name = min(names.items())
        what = f"the category {number} is {shown_name(name)}, in COCO it is {COCO_CATEGORIES[number]}"
        raise BadInputError(f"{source}: {what}, and no name is one of COCO's", remedy=remedy)


def _plain(name: str) -> str:
    return " ".join(name.casefold().replace("_", " ").replace("-", " ").split())
