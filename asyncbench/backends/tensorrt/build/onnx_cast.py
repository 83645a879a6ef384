"""Rewrite a float32 ONNX graph to fp16 or bf16, for TensorRT versions where the graph decides the precision.

Inputs and outputs stay float32: a Cast is put behind every input and before every output. onnxruntime's
`transformers.float16` does the same for fp16 only, and importing it puts its own folder on the module path.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import cast

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from asyncbench.errors import BadInputError
from asyncbench.sweep.cell import Precision

_TYPES = {Precision.FP16: TensorProto.FLOAT16, Precision.BF16: TensorProto.BFLOAT16}
_LARGEST_FLOAT16 = 65504
# Inputs that stay float32 in any graph. Source: the ONNX operator specification, type constraints.
_FLOAT_ONLY_INPUTS: Mapping[str, frozenset[int]] = {
    "Resize": frozenset({1, 2}),
    "Upsample": frozenset({1}),
    "NonMaxSuppression": frozenset({0, 1, 3, 4}),
}


def cast_graph(model: onnx.ModelProto, precision: Precision) -> onnx.ModelProto:
    """Return a copy of `model` that computes in `precision`, fp16 or bf16, with float32 inputs and outputs.

    Args:
        model: With its weights loaded.

    Raises:
        BadInputError: A weight is beyond fp16, or the graph has subgraphs.
    """
    target = _TYPES[precision]
    result = onnx.ModelProto()
    result.CopyFrom(model)
    graph = result.graph
    _refuse_subgraphs(graph)
    _turn_constants_into_initializers(graph)
    _cast_attributes(graph, target)
    _keep_float_inputs(graph)
    _cast_initializers(graph, target)
    _cast_outputs(graph)  # first, so that an output which is read inside the graph stays one tensor there
    _cast_inputs(graph, target)
    del graph.value_info[:]  # says float32; the parser infers it anew
    return result


def to_bfloat16_bits(values: npt.NDArray[np.float32]) -> npt.NDArray[np.uint16]:
    """Return bfloat16 bit patterns, rounded to nearest even; NaN stays NaN. numpy itself has no such type."""
    bits = np.ascontiguousarray(values, dtype=np.float32).view(np.uint32)
    rounded = ((bits.astype(np.uint64) + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(np.uint16)
    return np.where(np.isnan(values), np.uint16(0x7FC0), rounded).astype(np.uint16)


def _refuse_subgraphs(graph: onnx.GraphProto) -> None:
    for node in graph.node:
        if any(attribute.type == onnx.AttributeProto.GRAPH for attribute in node.attribute):
            raise BadInputError(
                f"{node.op_type} {node.name!r} has a subgraph, which cannot be cast",
                remedy="use --precision fp32, or give a model that is fp16 already",
            )


def _turn_constants_into_initializers(graph: onnx.GraphProto) -> None:
    constants = [node for node in graph.node if node.op_type == "Constant" and _constant_value(node) is not None]
    for node in constants:
        tensor = TensorProto()
        tensor.CopyFrom(_constant_value(node))
        tensor.name = node.output[0]
        graph.initializer.append(tensor)
        graph.node.remove(node)


def _constant_value(node: onnx.NodeProto) -> TensorProto | None:
    for attribute in node.attribute:
        if attribute.name == "value":
            return cast("TensorProto", attribute.t)
        if attribute.name in ("value_float", "value_floats"):
            floats = np.array(helper.get_attribute_value(attribute), dtype=np.float32)
            return numpy_helper.from_array(floats)
    return None


def _keep_float_inputs(graph: onnx.GraphProto) -> None:
    """Give operators that insist on float32 a constant of their own, or a Cast where it is computed."""
    constants = {tensor.name: tensor for tensor in graph.initializer}
    for position, node in reversed(list(enumerate(graph.node))):
        for index in _FLOAT_ONLY_INPUTS.get(node.op_type, ()):
            if index >= len(node.input) or not node.input[index]:
                continue
            name = node.input[index]
            node.input[index] = f"{name}__float_{position}_{index}"
            if name in constants:
                copy = graph.initializer.add()
                copy.CopyFrom(constants[name])
                copy.name = node.input[index]
            else:
                graph.node.insert(position, helper.make_node("Cast", [name], [node.input[index]], to=TensorProto.FLOAT))


def _cast_initializers(graph: onnx.GraphProto, target: int) -> None:
    kept = {
        node.input[index]
        for node in graph.node
        for index in _FLOAT_ONLY_INPUTS.get(node.op_type, ())
        if index < len(node.input)
    }
    inputs = {one.name for one in graph.input}
    for tensor in graph.initializer:
        if tensor.data_type == TensorProto.FLOAT and tensor.name not in kept | inputs:
            tensor.CopyFrom(_cast_tensor(tensor, target))


def _cast_tensor(tensor: TensorProto, target: int) -> TensorProto:
    values = numpy_helper.to_array(tensor).astype(np.float32)
    if target == TensorProto.BFLOAT16:
        data = to_bfloat16_bits(values).tobytes()
    else:
        data = _to_float16(values, tensor.name).tobytes()
    return helper.make_tensor(tensor.name, target, values.shape, data, raw=True)


def _to_float16(values: npt.NDArray[np.float32], name: str) -> npt.NDArray[np.float16]:
    finite = np.abs(values[np.isfinite(values)])
    largest = float(finite.max()) if finite.size else 0.0
    if largest > _LARGEST_FLOAT16:
        raise BadInputError(
            f"weight {name!r} has the value {largest:g}, fp16 ends at {_LARGEST_FLOAT16}",
            remedy="use --precision bf16 or fp32",
        )
    return values.astype(np.float16)


def _cast_attributes(graph: onnx.GraphProto, target: int) -> None:
    """Make nodes that name float32 as the type of their result name `target`."""
    for node in graph.node:
        for attribute in node.attribute:
            if node.op_type == "Cast" and attribute.name == "to" and attribute.i == TensorProto.FLOAT:
                attribute.i = target
            elif node.op_type == "ConstantOfShape" and attribute.t.data_type == TensorProto.FLOAT:
                attribute.t.CopyFrom(_cast_tensor(attribute.t, target))


def _cast_outputs(graph: onnx.GraphProto) -> None:
    for output in graph.output:
        if output.type.tensor_type.elem_type != TensorProto.FLOAT:
            continue
        inside = f"{output.name}__inside"
        _rename(graph.node, output.name, inside)
        graph.node.append(helper.make_node("Cast", [inside], [output.name], to=TensorProto.FLOAT))


def _cast_inputs(graph: onnx.GraphProto, target: int) -> None:
    constants = {tensor.name for tensor in graph.initializer}
    for given in graph.input:
        if given.type.tensor_type.elem_type != TensorProto.FLOAT or given.name in constants:
            continue
        inside = f"{given.name}__inside"
        _rename(graph.node, given.name, inside)
        graph.node.insert(0, helper.make_node("Cast", [given.name], [inside], to=target))


def _rename(nodes: Iterable[onnx.NodeProto], old: str, new: str) -> None:
    for node in nodes:
        for names in (node.input, node.output):
            for index, name in enumerate(names):
                if name == old:
                    names[index] = new
