from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from asyncbench.models.decoding import decode_boxes, intersection_over_union, suppress_overlaps, top_classes


@st.composite
def _boxes(draw, max_boxes=30):
    """Draw `(n, 4)` boxes with corners on a coarse grid, so that overlaps and equal boxes are common."""
    count = draw(st.integers(0, max_boxes))
    corners = draw(hnp.arrays(np.int64, (count, 2, 2), elements=st.integers(0, 10)))
    return np.concatenate([corners.min(axis=1), corners.max(axis=1)], axis=1).astype(np.float32) / 10


_THRESHOLDS = st.floats(0.05, 0.95)


def test_top_classes_come_highest_first_and_ties_by_index():
    scores = np.array([[0.1, 0.4, 0.4, 0.1], [0.0, 0.1, 0.2, 0.7]], dtype=np.float32)

    assert top_classes(scores, 3).tolist() == [[1, 2, 0], [3, 2, 1]]


def test_a_background_class_shifts_the_labels():
    scores = np.zeros((2, 1001), dtype=np.float32)
    scores[0, 8] = scores[1, 0] = 1

    assert top_classes(scores, 1).tolist() == [[7], [-1]]


def test_overlap_of_two_boxes_is_intersection_over_union():
    box = np.array([0.0, 0.0, 1.0, 1.0], dtype=np.float32)
    others = np.array([[0.0, 0.0, 1.0, 0.5], [0.5, 0.5, 1.5, 1.5], [2.0, 2.0, 3.0, 3.0]], dtype=np.float32)

    assert intersection_over_union(box, others).tolist() == pytest.approx([0.5, 0.25 / 1.75, 0.0])


def test_boxes_without_an_area_overlap_nothing():
    point = np.zeros((2, 4), dtype=np.float32)

    assert intersection_over_union(point[0], point).tolist() == [0.0, 0.0]


@given(boxes=_boxes(), threshold=_THRESHOLDS)
def test_boxes_that_are_kept_do_not_overlap_and_each_dropped_one_overlaps_a_better(boxes, threshold):
    kept = suppress_overlaps(boxes, iou_threshold=threshold, limit=100).tolist()

    assert kept == sorted(kept)
    for index, box in enumerate(boxes):
        better = [each for each in kept if each < index]
        covered = bool(better) and intersection_over_union(box, boxes[better]).max() > threshold
        assert covered != (index in kept)


@given(boxes=_boxes(), threshold=_THRESHOLDS, limit=st.integers(0, 5))
def test_a_limit_keeps_the_best_of_what_would_be_kept(boxes, threshold, limit):
    unlimited = suppress_overlaps(boxes, iou_threshold=threshold, limit=100)

    limited = suppress_overlaps(boxes, iou_threshold=threshold, limit=limit)

    assert limited.tolist() == unlimited[:limit].tolist()


@given(boxes=_boxes(), data=st.data())
def test_detections_are_sorted_above_the_threshold_and_inside_the_image(boxes, data):
    scores = data.draw(hnp.arrays(np.float32, (len(boxes), 3), elements=st.floats(0, 1, width=16)))

    found = decode_boxes(boxes * 1.5 - 0.25, scores, score_threshold=0.3, max_total=4)

    assert len(found.boxes) == len(found.scores) == len(found.category_ids) <= 4
    assert (np.diff(found.scores) <= 0).all()
    assert (found.scores > 0.3).all()
    assert ((found.boxes >= 0) & (found.boxes <= 1)).all()
    assert set(found.category_ids.tolist()) <= {1, 2, 3}
    assert (len(found.scores) > 0) == bool((scores > 0.3).any())


def test_boxes_of_different_classes_do_not_suppress_each_other():
    boxes = np.tile(np.array([[0.1, 0.1, 0.9, 0.9]], dtype=np.float32), (2, 1))
    scores = np.array([[0.9, 0.0], [0.8, 0.7]], dtype=np.float32)

    found = decode_boxes(boxes, scores, score_threshold=0.5)

    assert found.category_ids.tolist() == [1, 2]
    assert found.scores.tolist() == pytest.approx([0.9, 0.7])


def test_a_class_has_no_more_than_its_share():
    boxes = np.array([[0.2 * i, 0.0, 0.2 * i + 0.1, 0.1] for i in range(5)], dtype=np.float32)
    scores = np.array([[0.9, 0.8], [0.8, 0.0], [0.7, 0.0], [0.6, 0.0], [0.55, 0.0]], dtype=np.float32)

    found = decode_boxes(boxes, scores, score_threshold=0.5, max_per_class=2)

    assert found.category_ids.tolist() == [1, 1, 2]
