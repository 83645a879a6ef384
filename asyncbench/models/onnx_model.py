"""Loading and checks of an ONNX model before a builder sees it."""

from __future__ import annotations

from pathlib import Path

import onnx
from google.protobuf.message import DecodeError

from asyncbench.errors import BadInputError
from asyncbench.files.user_file import require_regular_file
from asyncbench.sweep.cell import Precision

_QUANTIZED_TYPES = {
    Precision.INT8: {onnx.TensorProto.INT8, onnx.TensorProto.UINT8},
    Precision.FP8: {onnx.TensorProto.FLOAT8E4M3FN},
}


def load_with_weights(path: Path) -> onnx.ModelProto:
    """Read an ONNX file and the files with its external weights.

    Raises:
        BadInputError: It is no ONNX file, or a file with its weights is missing.
    """
    require_regular_file(path, what="the model", remedy="name an ONNX file")
    try:
        return onnx.load(str(path))
    except (DecodeError, OSError, ValueError, onnx.checker.ValidationError) as error:
        raise BadInputError(
            f"{path} cannot be read as ONNX: {error}", remedy="give an ONNX file, with its weights beside it"
        ) from error


def check_quantized(model: onnx.ModelProto, precision: Precision) -> None:
    """Refuse int8 or fp8 for a graph that is not quantized to it.

    Raises:
        BadInputError: There is no DequantizeLinear node with weights or zero points of that type.
    """
    wanted = _QUANTIZED_TYPES[precision]
    types = {tensor.name: tensor.data_type for tensor in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type == "DequantizeLinear" and any(types.get(name) in wanted for name in node.input):
            return
    raise BadInputError(
        f"the graph {model.graph.name!r} is not quantized to {precision}",
        remedy=f"give a model with QuantizeLinear and DequantizeLinear nodes of {precision}, or another --precision",
    )


def describe_node(model: onnx.ModelProto, index: int) -> str:
    """Return what people call a node: operator, name and what it makes."""
    if not 0 <= index < len(model.graph.node):
        return "the graph"
    node = model.graph.node[index]
    return f"node {index} ({node.op_type} {node.name or ', '.join(node.output)!r})"
