"""Count of the multiply-accumulates of a graph, from the shapes of its convolutions and matrix products."""

from __future__ import annotations

import math
from collections.abc import Mapping

import onnx

Shapes = Mapping[str, tuple[int, ...] | None]

_PRODUCTS = frozenset({"Conv", "ConvTranspose", "Gemm", "MatMul"})
# Operators that multiply and accumulate as well, in ways that are not counted here.
_NOT_COUNTED = frozenset(
    {
        "Attention",
        "ConvInteger",
        "DeformConv",
        "Einsum",
        "GRU",
        "If",
        "LSTM",
        "Loop",
        "MatMulInteger",
        "QLinearConv",
        "QLinearMatMul",
        "RNN",
        "Scan",
    }
)
_STANDARD_DOMAINS = frozenset({"", "ai.onnx"})


def count_multiply_accumulates(graph: onnx.GraphProto, shapes: Shapes) -> int | None:
    """Return the sum over all nodes, or None where one cannot be counted.

    Args:
        shapes: Of every tensor with a known shape, the batch axis included.
    """
    counts = [_node_count(node, shapes) for node in graph.node]
    known = [count for count in counts if count is not None]
    return sum(known) if len(known) == len(counts) else None


def _node_count(node: onnx.NodeProto, shapes: Shapes) -> int | None:
    if node.domain not in _STANDARD_DOMAINS or node.op_type in _NOT_COUNTED:
        return None
    return _product_count(node, shapes) if node.op_type in _PRODUCTS else 0


def _product_count(node: onnx.NodeProto, shapes: Shapes) -> int | None:
    named = [shapes.get(name) for name in (*node.input[:2], *node.output[:1])]
    known = [shape for shape in named if shape is not None]
    if len(known) != 3:  # noqa: PLR2004 - two factors and the result; a broken file may lack one
        return None
    left, right, result = known
    if node.op_type == "Conv":
        return math.prod(result) * math.prod(right[1:])
    if node.op_type == "ConvTranspose":
        return math.prod(left) * math.prod(right[1:])
    return math.prod(result) * _inner_size(node, left)


def _inner_size(node: onnx.NodeProto, left: tuple[int, ...]) -> int:
    """Return the length of the axis that a matrix product sums over."""
    left_transposed = any(attribute.name == "transA" and attribute.i for attribute in node.attribute)
    return left[0] if left_transposed else left[-1]
