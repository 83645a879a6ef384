"""COCO's average precision, by pycocotools."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from io import StringIO
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from pycocotools.coco import COCO  # type: ignore[import-untyped]  # pycocotools comes without types
from pycocotools.cocoeval import COCOeval  # type: ignore[import-untyped]  # see above

from asyncbench.accuracy.metrics.detection import ImageTruth
from asyncbench.models.decoding import Detections
from asyncbench.results.accuracy import MetricName

BoolArray = npt.NDArray[np.bool_]
Int64Array = npt.NDArray[np.int64]
Float64Array = npt.NDArray[np.float64]
_CocoEntry: TypeAlias = dict[str, object]
_Evaluated: TypeAlias = dict[str, Any]  # one image and category, as COCOeval.evaluateImg returns it

MAX_DETECTIONS = 100
_ALL_AREAS = [0.0, 1e10]
AP_THRESHOLDS = {MetricName.AP: slice(None), MetricName.AP50: slice(0, 1), MetricName.AP75: slice(5, 6)}
"""Which of the ten overlaps, 0.50 to 0.95, a metric is the mean of."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CategoryMatches:
    """All detections of one category in all images, the surest first, and which of them are right.

    Attributes:
        images: `(n,)` int64, the position of each detection's image.
        scores: `(n,)` float64.
        right: `(10, n)` bool, by overlap.
        wrong: `(10, n)` bool; what hit a crowd is neither.
        objects: `(images,)` int64, how many there were to find.
    """

    images: Int64Array
    scores: Float64Array
    right: BoolArray
    wrong: BoolArray
    objects: Int64Array


@dataclass(frozen=True, slots=True, kw_only=True)
class BoxEvaluation:
    """Result of pycocotools for a set of detections.

    Attributes:
        values: None where no image has an object that counts.
        images: How many were looked at.
    """

    values: Mapping[MetricName, float | None]
    matches: tuple[CategoryMatches, ...]
    images: int


def evaluate_boxes(found: Mapping[str, Detections], truth: Mapping[str, ImageTruth]) -> BoxEvaluation:
    """Return AP, AP50 and AP75 over the images of `found` that have a truth. Blocking: 5,000 images take 20 s.

    pycocotools prints what it does, so `sys.stdout` of the whole process is silent meanwhile. Records go past it.
    """
    images = [item for item in found if item in truth]
    with redirect_stdout(StringIO()):
        evaluation = _evaluation([found[item] for item in images], [truth[item] for item in images])
        evaluation.evaluate()
        evaluation.accumulate()
    precision = evaluation.eval["precision"]  # (overlaps, recalls, categories, 1, 1); -1: no object of the category
    return BoxEvaluation(
        values={name: _mean(precision[overlaps]) for name, overlaps in AP_THRESHOLDS.items()},
        matches=tuple(_matches(evaluation.evalImgs, len(images))),
        images=len(images),
    )


def _evaluation(found: Sequence[Detections], truth: Sequence[ImageTruth]) -> COCOeval:
    categories = sorted({item.category_id for image in truth for item in image.objects})
    evaluation = COCOeval(
        _coco(_true_entries(truth), categories), _coco(_found_entries(found, truth), categories), "bbox"
    )
    evaluation.params.imgIds = list(range(len(truth)))
    evaluation.params.catIds = categories
    evaluation.params.areaRng, evaluation.params.areaRngLbl = [_ALL_AREAS], ["all"]
    evaluation.params.maxDets = [MAX_DETECTIONS]
    return evaluation


def _coco(entries: Sequence[_CocoEntry], categories: Sequence[int]) -> COCO:
    # COCO.loadRes would do it for detections, but not for none of them.
    coco = COCO()
    # From 1: pycocotools takes a match with entry 0 for no match.
    coco.dataset = {
        "categories": [{"id": category} for category in categories],
        "annotations": [entry | {"id": number} for number, entry in enumerate(entries, start=1)],
    }
    coco.createIndex()
    return coco


def _true_entries(truth: Sequence[ImageTruth]) -> list[_CocoEntry]:
    return [
        _entry(image, item.category_id, item.box_xywh) | {"iscrowd": int(item.is_crowd)}
        for image, known in enumerate(truth)
        for item in known.objects
    ]


def _found_entries(found: Sequence[Detections], truth: Sequence[ImageTruth]) -> list[_CocoEntry]:
    return [
        _entry(image, category_id, (left, top, right - left, bottom - top)) | {"score": score}
        for image, (detections, known) in enumerate(zip(found, truth, strict=True))
        for (top, left, bottom, right), score, category_id in zip(
            (detections.boxes.astype(np.float64) * [known.height, known.width, known.height, known.width]).tolist(),
            detections.scores.tolist(),
            detections.category_ids.tolist(),
            strict=True,
        )
    ]


def _entry(image: int, category_id: int, box_xywh: tuple[float, float, float, float]) -> _CocoEntry:
    return {
        "image_id": image,
        "category_id": category_id,
        "bbox": list(box_xywh),
        "area": box_xywh[2] * box_xywh[3],
        "iscrowd": 0,
    }


def _mean(precision: Float64Array) -> float | None:
    known = precision[precision > -1]
    return float(known.mean()) if known.size else None


def _matches(entries: Sequence[_Evaluated | None], images: int) -> Iterator[CategoryMatches]:
    """Yield the matches of each category that has an object; entries are ordered by category, then by image."""
    for start in range(0, len(entries), max(images, 1)):
        present = [(image, entry) for image, entry in enumerate(entries[start : start + images]) if entry]
        objects = np.zeros(images, dtype=np.int64)
        for image, entry in present:
            objects[image] = np.count_nonzero(np.asarray(entry["gtIgnore"]) == 0)
        if objects.any():
            yield _category(present, objects)


def _category(present: Sequence[tuple[int, _Evaluated]], objects: Int64Array) -> CategoryMatches:
    scores = np.concatenate([entry["dtScores"] for _, entry in present]).astype(np.float64)
    order = np.argsort(-scores, kind="stable")
    matched = np.concatenate([entry["dtMatches"] for _, entry in present], axis=1)[:, order] > 0
    ignored = np.concatenate([entry["dtIgnore"] for _, entry in present], axis=1)[:, order].astype(np.bool_)
    counts = [len(entry["dtScores"]) for _, entry in present]
    return CategoryMatches(
        images=np.repeat([image for image, _ in present], counts)[order],
        scores=scores[order],
        right=matched & ~ignored,
        wrong=~matched & ~ignored,
        objects=objects,
    )
