"""The 1917 anchor boxes of SSD-MobileNet v1 at 300 x 300, as TensorFlow's detection API makes them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

# Scales of the six maps, evenly from 0.2 to 0.95, and 1.0 beyond the last (Liu et al., "SSD", 2016, eq. 4).
_SCALES = (0.2, 0.35, 0.5, 0.65, 0.8, 0.95, 1.0)
_ASPECT_RATIOS = (1.0, 2.0, 0.5, 3.0, 0.3333)  # the published pipeline writes a third so
# The first map has three anchors only: `reduce_boxes_in_lowest_layer` of the published pipeline.
_LOWEST = ((0.1, 1.0), (0.2, 2.0), (0.2, 0.5))


def anchors_per_place(level: int) -> int:
    """Return how many anchors each place of a feature map has; `level` 0 is the finest of the six maps."""
    return len(_scales_and_ratios(level))


def make_anchors(map_sizes: tuple[int, ...]) -> npt.NDArray[np.float32]:
    """Return `(anchors, 4)` float32: centre y, centre x, height, width, as shares of the picture.

    Args:
        map_sizes: Side of each feature map, finest first.
    """
    return np.concatenate([_level_anchors(level, size) for level, size in enumerate(map_sizes)]).astype(np.float32)


def _level_anchors(level: int, size: int) -> npt.NDArray[np.float64]:
    scale, ratio = np.array(_scales_and_ratios(level)).T
    boxes = np.stack([scale / np.sqrt(ratio), scale * np.sqrt(ratio)], axis=1)
    centres = (np.arange(size) + 0.5) / size
    grid = np.stack(np.meshgrid(centres, centres, indexing="ij"), axis=-1).reshape(-1, 2)
    return np.concatenate([np.repeat(grid, len(boxes), axis=0), np.tile(boxes, (len(grid), 1))], axis=1)


def _scales_and_ratios(level: int) -> tuple[tuple[float, float], ...]:
    if level == 0:
        return _LOWEST
    between = float(np.sqrt(_SCALES[level] * _SCALES[level + 1]))
    return (*((_SCALES[level], ratio) for ratio in _ASPECT_RATIOS), (between, 1.0))
