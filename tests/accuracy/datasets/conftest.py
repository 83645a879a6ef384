"""Small folders that look like the data sets."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest


@pytest.fixture
def write_images(tmp_path):
    """Return a function that writes small images of one colour each, and returns their folder."""

    def write(*names: str, folder: str = "images") -> Path:
        place = tmp_path / folder
        place.mkdir(parents=True, exist_ok=True)
        for index, name in enumerate(names):
            colour = np.full((20, 24, 3), index % 256, dtype=np.uint8)
            path = place / name
            path.parent.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(path.with_suffix(".png")), colour)
            path.with_suffix(".png").rename(path)
        return place

    return write


@pytest.fixture
def shared_images():
    folder = Path(__file__).parents[3].parent / "shared" / "images"
    if not folder.is_dir():
        pytest.skip("../shared is not beside the repository")
    return folder
