"""Detections in an image and the objects that are there, in the form that average precision needs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from asyncbench.models.decoding import Detections, Float32Array, decode_boxes
from asyncbench.tensors import AnyArray

# What the published SSD-MobileNet was evaluated with: 1e-8, its sample config in TensorFlow's object_detection. Its
# frozen graph has 0.3 instead, which its model zoo says lowers the average precision.
SCORE_THRESHOLD = 1e-8
_MAX_DETECTIONS = 100
_FIRST_CANDIDATES = 1000  # on COCO images enough for 100 detections; more are tried where it is not
_CORNERS = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class TrueObject:
    """An object that people marked.

    Attributes:
        box_xywh: Left, top, width, height in pixels of the image.
        is_crowd: Many objects in one box: detections inside it are neither right nor wrong.
    """

    category_id: int
    box_xywh: tuple[float, float, float, float]
    is_crowd: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageTruth:
    """All that was marked in an image, and its size in pixels."""

    height: int
    width: int
    objects: tuple[TrueObject, ...]


def read_detections(outputs: Mapping[str, AnyArray]) -> list[Detections]:
    """Return the objects of each image of a batch, at most 100 each. Takes 10 to 50 ms an image.

    Args:
        outputs: Boxes `(items, anchors, 4)` and scores `(items, anchors, categories)`, in either order.

    Raises:
        ValueError: There is no output of boxes, or not one other.
    """
    boxes, scores = _boxes_and_scores(outputs)
    return [surest_detections(*item) for item in zip(boxes, scores, strict=True)]


def surest_detections(boxes: Float32Array, scores: Float32Array) -> Detections:
    """Return what `decode_boxes` returns for `SCORE_THRESHOLD`, without suppressing what cannot get into the 100.

    Whether a box stays depends on surer ones only. So the surest candidates alone give the right first 100, if they
    give as many. Values that are not finite are no candidates.

    Args:
        boxes: `(anchors, 4)` float32.
        scores: `(anchors, categories)` float32.
    """
    finite = np.isfinite(scores) & np.isfinite(boxes).all(axis=1, keepdims=True)
    usable = np.where(finite, scores, np.float32(0))
    count = _FIRST_CANDIDATES
    while True:
        threshold = _threshold_above(usable, count)
        found = decode_boxes(boxes, usable, score_threshold=threshold, max_total=_MAX_DETECTIONS)
        if len(found.scores) == _MAX_DETECTIONS or threshold == SCORE_THRESHOLD:
            return found
        count *= 8


def _threshold_above(scores: Float32Array, count: int) -> float:
    """Return a threshold that at most `count` scores are above, but never less than the lowest that counts."""
    if count >= scores.size:
        return SCORE_THRESHOLD
    return max(float(np.partition(scores, scores.size - count - 1, axis=None)[-count - 1]), SCORE_THRESHOLD)


def _boxes_and_scores(outputs: Mapping[str, AnyArray]) -> tuple[Float32Array, Float32Array]:
    arrays = [array.astype(np.float32) for array in outputs.values()]
    boxes = [array for array in arrays if array.shape[-1] == _CORNERS]
    scores = [array for array in arrays if array.shape[-1] != _CORNERS]
    if len(boxes) != 1 or len(scores) != 1:
        shapes = ", ".join(f"{name} {array.shape}" for name, array in outputs.items())
        raise ValueError(f"one output of boxes and one of scores are needed, not {shapes}")
    return boxes[0], scores[0]
