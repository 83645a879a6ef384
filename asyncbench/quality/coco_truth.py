"""The objects in COCO's instances JSON."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from asyncbench.errors import BadInputError
from asyncbench.quality.detection import PictureTruth, TrueObject


def read_coco_truth(path: Path) -> dict[str, PictureTruth]:
    """Return what was marked in each picture, by file name. Blocking: val2017 takes a second.

    Raises:
        BadInputError: The file cannot be read, or has another form.
    """
    remedy = "name COCO's instances_*.json"
    try:
        return _truth(json.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise BadInputError(f"cannot read the instances {path} ({error.strerror})", remedy=remedy) from error
    except (ValueError, TypeError, KeyError) as error:
        raise BadInputError(f"{path} has no instances in COCO's form ({error!r})", remedy=remedy) from error


def _truth(instances: Mapping[str, Any]) -> dict[str, PictureTruth]:
    objects: dict[int, list[TrueObject]] = defaultdict(list)
    for entry in instances["annotations"]:
        objects[int(entry["image_id"])].append(_object(entry))
    return {
        str(image["file_name"]): PictureTruth(
            height=int(image["height"]), width=int(image["width"]), objects=tuple(objects[int(image["id"])])
        )
        for image in instances["images"]
    }


def _object(entry: Mapping[str, Any]) -> TrueObject:
    left, top, width, height = map(float, entry["bbox"])
    return TrueObject(
        category_id=int(entry["category_id"]),
        box_xywh=(left, top, width, height),
        is_crowd=bool(entry.get("iscrowd", 0)),
    )
