"""Images of 100 x 100 pixels, so that a box in percent is a box in pixels."""

from __future__ import annotations

import numpy as np
import pytest

from asyncbench.accuracy.metrics.detection import ImageTruth, TrueObject
from asyncbench.models.decoding import Detections


@pytest.fixture
def detected():
    """Return a function that makes detections of (score, category, (left, top, width, height)), the surest first."""

    def make(*entries):
        entries = sorted(entries, key=lambda entry: -entry[0])
        boxes = [(y, x, y + height, x + width) for _, _, (x, y, width, height) in entries]
        return Detections(
            boxes=np.array(boxes, dtype=np.float32).reshape(-1, 4) / np.float32(100),
            scores=np.array([score for score, _, _ in entries], dtype=np.float32),
            category_ids=np.array([category for _, category, _ in entries], dtype=np.int64),
        )

    return make


@pytest.fixture
def marked():
    """Return a function that makes the truth of an image of (category, (left, top, width, height))."""

    def make(*objects, crowds=()):
        return ImageTruth(
            height=100,
            width=100,
            objects=tuple(
                TrueObject(category_id=category, box_xywh=box, is_crowd=(category, box) in crowds)
                for category, box in (*objects, *crowds)
            ),
        )

    return make
