"""Meaning of a network's outputs: classes, and boxes after non-maximum suppression."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Float32Array = npt.NDArray[np.float32]
Int64Array = npt.NDArray[np.int64]

_IMAGENET_CLASSES = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Detections:
    """The objects in one image, the surest first. All arrays have one length.

    Attributes:
        boxes: `(n, 4)` float32, ymin, xmin, ymax, xmax as shares of the image, in 0..1.
        scores: `(n,)` float32.
        category_ids: `(n,)` int64, COCO's, from 1.
    """

    boxes: Float32Array
    scores: Float32Array
    category_ids: Int64Array


def top_classes(scores: Float32Array, k: int) -> Int64Array:
    """Return `(n, k)` int64 labels of `(n, classes)` scores, the highest first, of equal ones the lower first.

    Labels count from 0 at the first real class. A background, which networks from TensorFlow's model zoo put first
    (1001 classes), is -1.
    """
    first_label = 1 if scores.shape[1] == _IMAGENET_CLASSES + 1 else 0
    order: Int64Array = np.argsort(-scores, axis=1, kind="stable")[:, :k]
    return order - first_label


def decode_boxes(
    boxes: Float32Array,
    scores: Float32Array,
    *,
    score_threshold: float,
    iou_threshold: float = 0.6,
    max_per_class: int = 100,
    max_total: int = 100,
) -> Detections:
    """Return the objects of one image: greedy suppression within each class, then the surest of all classes.

    The defaults are those of the published SSD-MobileNet (its pipeline.config).

    Args:
        boxes: `(anchors, 4)` float32, decoded, as the network `ssdmobilenet` puts them out.
        scores: `(anchors, categories)` float32; column k is COCO's category k + 1.
        score_threshold: Scores must be above it.
    """
    anchors, columns = [np.empty(0, dtype=np.int64)], [np.empty(0, dtype=np.int64)]
    for column in np.flatnonzero((scores > score_threshold).any(axis=0)):
        candidates = np.flatnonzero(scores[:, column] > score_threshold)
        ranked = candidates[np.argsort(-scores[candidates, column], kind="stable")]
        kept = ranked[suppress_overlaps(boxes[ranked], iou_threshold=iou_threshold, limit=max_per_class)]
        anchors.append(kept)
        columns.append(np.full(len(kept), column))
    return _surest(boxes, scores, np.concatenate(anchors), np.concatenate(columns), limit=max_total)


def suppress_overlaps(boxes: Float32Array, *, iou_threshold: float, limit: int) -> Int64Array:
    """Return the indices of at most `limit` of the `(n, 4)` boxes, the best of which is first.

    A box is dropped when its intersection over union with one that was kept before it is above the threshold.
    """
    kept: list[int] = []
    left = np.arange(len(boxes))
    while len(left) and len(kept) < limit:
        best, left = left[0], left[1:]
        kept.append(int(best))
        left = left[intersection_over_union(boxes[best], boxes[left]) <= iou_threshold]
    return np.array(kept, dtype=np.int64)


def intersection_over_union(box: Float32Array, boxes: Float32Array) -> Float32Array:
    """Return `(n,)`: of one `(4,)` box with each of `(n, 4)`; 0 where neither has an area."""
    low = np.maximum(box[:2], boxes[:, :2])
    high = np.minimum(box[2:], boxes[:, 2:])
    shared = _areas(np.concatenate([low, high], axis=1))
    total = _areas(box[None]) + _areas(boxes) - shared
    ratios: Float32Array = np.divide(shared, total, out=np.zeros_like(shared), where=total > 0)
    return ratios


def _areas(boxes: Float32Array) -> Float32Array:
    sides: Float32Array = np.maximum(boxes[:, 2:] - boxes[:, :2], 0)
    return sides[:, 0] * sides[:, 1]


def _surest(
    boxes: Float32Array, scores: Float32Array, anchors: Int64Array, columns: Int64Array, *, limit: int
) -> Detections:
    found = scores[anchors, columns]
    order = np.argsort(-found, kind="stable")[:limit]
    return Detections(
        boxes=np.clip(boxes[anchors[order]], 0.0, 1.0),
        scores=found[order],
        category_ids=columns[order] + 1,
    )
