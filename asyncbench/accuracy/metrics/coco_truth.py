"""The objects in COCO's instances JSON."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from asyncbench.accuracy.datasets.truth_file import read_coco
from asyncbench.accuracy.metrics.detection import ImageTruth, TrueObject
from asyncbench.errors import BadInputError

_NUMBERS_OF_A_BOX = 4
_SHOWN_CHARACTERS = 60


def read_coco_truth(path: Path) -> dict[str, ImageTruth]:
    """Return what was marked in each image, by what it calls the image. Blocking: val2017 takes a second.

    Raises:
        BadInputError: The file cannot be read, has another form, or says of an image or an object what cannot be.
    """
    return read_coco(path, lambda instances: _truth(instances, path))


def _truth(instances: Mapping[str, Any], path: Path) -> dict[str, ImageTruth]:
    objects: dict[int, list[TrueObject]] = defaultdict(list)
    for entry in instances["annotations"]:
        objects[int(entry["image_id"])].append(_object(entry, path))
    _refuse_shares([one.box_xywh for several in objects.values() for one in several], path)
    return {
        str(image["file_name"]): ImageTruth(
            height=_side(image, "height", path),
            width=_side(image, "width", path),
            objects=tuple(objects[int(image["id"])]),
        )
        for image in instances["images"]
    }


def _side(image: Mapping[str, Any], key: str, path: Path) -> int:
    if type(image[key]) is not int or image[key] < 1:
        what = f"image {int(image['id'])} has the {key} {_shown(image[key])}, not a whole number of pixels above 0"
        raise BadInputError(f"{path}: {what}", remedy="correct it, or take the image out")
    return int(image[key])


def _object(entry: Mapping[str, Any], path: Path) -> TrueObject:
    box, crowd = entry["bbox"], entry.get("iscrowd", 0)
    where, remedy = f"{path}: annotation {int(entry['id'])}", "correct it, or take the annotation out"
    if not _is_box(box):
        raise BadInputError(
            f"{where} has the bbox {_shown(box)}, not left, top, width and height in pixels", remedy=remedy
        )
    if crowd not in (0, 1):
        raise BadInputError(f"{where} has iscrowd {_shown(crowd)}, not 0 or 1", remedy=remedy)
    left, top, width, height = map(float, box)
    return TrueObject(category_id=int(entry["category_id"]), box_xywh=(left, top, width, height), is_crowd=bool(crowd))


def _refuse_shares(boxes: Sequence[tuple[float, float, float, float]], path: Path) -> None:
    """Refuse boxes that all lie within one pixel: they are shares of the sides, and nothing would ever be found."""
    if boxes and all(
        min(left, top) >= 0 and left + width <= 1 and top + height <= 1 for left, top, width, height in boxes
    ):
        raise BadInputError(
            f"{path}: every bbox lies within the first pixel, such as {list(boxes[0])}: they are shares of the sides",
            remedy="write left, top, width and height in pixels",
        )


def _is_box(box: object) -> bool:
    """Return whether it is four finite numbers, of which the width and the height are not below 0.

    Boxes of no width are in COCO itself; boxes that begin outside the image do no harm.
    """
    if not isinstance(box, list) or len(box) != _NUMBERS_OF_A_BOX or any(type(one) not in {int, float} for one in box):
        return False
    return all(math.isfinite(one) for one in box) and min(box[2:]) >= 0


def _shown(value: object) -> str:
    return repr(value)[:_SHOWN_CHARACTERS]
