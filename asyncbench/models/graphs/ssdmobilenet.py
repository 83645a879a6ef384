"""SSD on MobileNet v1, 300 x 300, COCO: Liu et al., "SSD", 2016, with the heads of TensorFlow's detection API."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import onnx

from asyncbench.models.graphs.graph_writer import LINEAR_GAIN, FeatureMap, GraphWriter
from asyncbench.models.graphs.mobilenet import write_separable_blocks

_CLASSES = 91  # index 0 is the background, the others are COCO's category ids
# Of each extra layer: channels of its 1x1 convolution, of its 3x3 one with stride 2.
_EXTRA_LAYERS = ((256, 512), (128, 256), (128, 256), (64, 128))
# Scales of the six maps, evenly from 0.2 to 0.95, and 1.0 beyond the last (Liu et al., "SSD", 2016, eq. 4).
_SCALES = (0.2, 0.35, 0.5, 0.65, 0.8, 0.95, 1.0)
_ASPECT_RATIOS = (1.0, 2.0, 0.5, 3.0, 0.3333)  # the published pipeline writes a third so
# The first map has three anchors only: `reduce_boxes_in_lowest_layer` of the published pipeline.
_LOWEST = ((0.1, 1.0), (0.2, 2.0), (0.2, 0.5))


def build_ssdmobilenet(*, seed: int) -> onnx.ModelProto:
    """Return the network: `input` (N, 3, 300, 300) to `boxes` (N, 1917, 4), decoded, and `scores` (N, 1917, 90).

    A box is ymin, xmin, ymax, xmax as shares of the image; column k of `scores` is COCO's category k + 1. What is
    left to the caller is non-maximum suppression.
    """
    graph = GraphWriter(name="ssd_mobilenet_v1_coco_300", seed=seed)
    maps = _write_feature_maps(graph)
    codes = _write_heads(graph, maps, name="box", values=4)
    logits = _write_heads(graph, maps, name="class", values=_CLASSES)
    anchors = make_anchors(tuple(each.size for each in maps))
    _write_scores(graph, logits)
    _write_boxes(graph, codes, anchors)
    return graph.model({"boxes": (len(anchors), 4), "scores": (len(anchors), _CLASSES - 1)})


def _write_feature_maps(graph: GraphWriter) -> tuple[FeatureMap, ...]:
    blocks = write_separable_blocks(graph, graph.image(size=300))
    maps = [blocks[10], blocks[12]]
    for number, (narrow, wide) in enumerate(_EXTRA_LAYERS, start=2):
        squeezed = graph.conv_relu6(maps[-1], name=f"extra{number}_1x1", channels=narrow)
        maps.append(graph.conv_relu6(squeezed, name=f"extra{number}_3x3", channels=wide, kernel=3, stride=2))
    return tuple(maps)


def _write_heads(graph: GraphWriter, maps: tuple[FeatureMap, ...], *, name: str, values: int) -> str:
    """Write one 1x1 convolution for each map and return `(N, 1917, values)`."""
    heads = []
    shape = graph.constant(f"{name}.shape", np.array([0, -1, values], dtype=np.int64))
    for level, features in enumerate(maps):
        channels = anchors_per_place(level) * values
        head = graph.conv(features, name=f"{name}{level}", channels=channels, gain=LINEAR_GAIN)
        by_place = graph.node("Transpose", (head.name,), output=f"{name}{level}.nhwc", perm=(0, 2, 3, 1))
        heads.append(graph.node("Reshape", (by_place, shape), output=f"{name}{level}.flat"))
    return graph.node("Concat", tuple(heads), output=f"{name}.all", axis=1)


def _write_scores(graph: GraphWriter, logits: str) -> None:
    all_scores = graph.node("Sigmoid", (logits,), output="all_scores")
    _write_columns(graph, all_scores, begin=1, end=_CLASSES, output="scores")


def _write_boxes(graph: GraphWriter, codes: str, anchors: np.ndarray[tuple[int, ...], np.dtype[np.float32]]) -> None:
    """Write the decoding: centre + code / 10 x side, side x exp(code / 5), as the published box coder does."""
    centres, sides = anchors[None, :, :2], anchors[None, :, 2:]
    offset = graph.node(
        "Mul",
        (_write_columns(graph, codes, begin=0, end=2, output="code_yx"), graph.constant("side_tenth", sides / 10)),
        output="offset_yx",
    )
    centre = graph.node("Add", (offset, graph.constant("anchor_yx", centres)), output="centre_yx")
    code_hw = _write_columns(graph, codes, begin=2, end=4, output="code_hw")
    fifth = graph.constant("fifth", np.array(0.2, dtype=np.float32))
    growth = graph.node("Exp", (graph.node("Mul", (code_hw, fifth), output="log_growth"),), output="growth")
    half = graph.node("Mul", (growth, graph.constant("side_half", sides / 2)), output="half_hw")
    low = graph.node("Sub", (centre, half), output="low_yx")
    high = graph.node("Add", (centre, half), output="high_yx")
    graph.node("Concat", (low, high), output="boxes", axis=2)


def _write_columns(graph: GraphWriter, source: str, *, begin: int, end: int, output: str) -> str:
    bounds = tuple(
        graph.constant(f"{output}.{name}", np.array([value], dtype=np.int64))
        for name, value in (("begin", begin), ("end", end), ("axis", 2))
    )
    return graph.node("Slice", (source, *bounds), output=output)


def anchors_per_place(level: int) -> int:
    """Return how many anchors each place of a feature map has; `level` 0 is the finest of the six maps."""
    return len(_scales_and_ratios(level))


def make_anchors(map_sizes: tuple[int, ...]) -> npt.NDArray[np.float32]:
    """Return `(anchors, 4)` float32: centre y, centre x, height, width, as shares of the image.

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
