"""Nodes of a float network that can run in int8, and the tensors that need a range for it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

import onnx
from onnx import TensorProto, shape_inference

from asyncbench.errors import BadInputError
from asyncbench.models.onnx_model import load_with_weights

# Where nearly all the work of a network is, and where int8 has kernels. Everything else stays in float.
_WEIGHTED = frozenset({"Conv", "Gemm", "MatMul"})
_IR_OF_OPSET_13 = 7  # the least that quantized_graph.py needs; from 4 on weights are no inputs
_MADE = "_output"
_COUNTED = re.compile(r"_\d+$")
_QUANTIZED = frozenset({"QuantizeLinear", "DequantizeLinear"})


def load_float_network(path: Path) -> onnx.ModelProto:
    """Return the network with its weights, each node with a name, types inferred. Blocking: reads the whole file.

    Raises:
        BadInputError: It cannot be read, is quantized already, or holds nothing that int8 is for.
    """
    model = load_with_weights(path)
    if any(node.op_type in _QUANTIZED for node in model.graph.node):
        raise BadInputError(f"{path} is quantized already", remedy="calibrate the float network that it was made from")
    _name_nodes(model.graph)
    _keep_true_inputs(model)
    try:
        typed = shape_inference.infer_shapes(model)
    except (shape_inference.InferenceError, ValueError) as error:  # ValueError: more than 2 GB
        raise BadInputError(f"{path} cannot be calibrated ({error})", remedy="export it again") from error
    if not weighted_nodes(typed.graph):
        raise BadInputError(
            f"{path} has no convolution or matrix product with weights of its own", remedy="use another --precision"
        )
    return typed


def weighted_nodes(graph: onnx.GraphProto) -> list[onnx.NodeProto]:
    """Return the convolutions and matrix products of a computed tensor with float32 weights. Subgraphs are left out."""
    weights = {tensor.name for tensor in graph.initializer if tensor.data_type == TensorProto.FLOAT}
    constants = {tensor.name for tensor in graph.initializer}
    return [
        node
        for node in graph.node
        if node.op_type in _WEIGHTED and node.input[1] in weights and node.input[0] not in constants
    ]


def calibrated_tensors(graph: onnx.GraphProto) -> tuple[str, ...]:
    """Return the float tensors that some convolution or matrix product is computed from, in the order of the graph.

    What comes after the last of these has no range, and so stays in float wherever ranges decide: the logits, softmax
    and sigmoid, the decoding of boxes, whose few values of very different size eight bits would spoil.
    """
    needed = {node.input[0] for node in weighted_nodes(graph)}
    for node in reversed(graph.node):
        if needed.intersection(node.output):
            needed.update(node.input)
    constants = {tensor.name for tensor in graph.initializer}
    floats = (name for name in _float_tensors(graph) if name in needed and name not in constants)
    return tuple(dict.fromkeys(floats))


def tensor_names(graph: onnx.GraphProto) -> frozenset[str]:
    """Return all tensors of the graph that are not weights."""
    return frozenset([value.name for value in graph.input] + [name for node in graph.node for name in node.output])


def foreign_tensors(graph: onnx.GraphProto, names: Iterable[str]) -> tuple[str, ...]:
    """Return those of `names` that do not come from this graph, in their order.

    TensorRT calls a tensor that it puts in `name_output` or `name_12_output`, where `name` is a weight or node, and a
    node without a name `node_of_` and its first output.

    Source: ImporterContext::registerLayer and getNodeName in onnx-tensorrt.
    """
    own = tensor_names(graph)
    sources = own.union((node.name for node in graph.node), (tensor.name for tensor in graph.initializer))
    sources |= {f"node_of_{name}" for node in graph.node for name in node.output[:1]}
    return tuple(name for name in names if name not in own and sources.isdisjoint(_sources_of(name)))


def _sources_of(name: str) -> tuple[str, ...]:
    base = name.removesuffix(_MADE)
    return () if base == name else (base, _COUNTED.sub("", base))


def _float_tensors(graph: onnx.GraphProto) -> list[str]:
    values = (*graph.input, *graph.value_info, *graph.output)
    floats = {value.name for value in values if value.type.tensor_type.elem_type == TensorProto.FLOAT}
    made = [value.name for value in graph.input] + [name for node in graph.node for name in node.output]
    return [name for name in made if name in floats]


def _name_nodes(graph: onnx.GraphProto) -> None:
    """Give every node a name of its own: ONNX Runtime's quantizer picks nodes by it."""
    taken: set[str] = set()
    for index, node in enumerate(graph.node):
        if not node.name or node.name in taken:
            node.name = f"{node.op_type}__{index}"
        taken.add(node.name)


def _keep_true_inputs(model: onnx.ModelProto) -> None:
    """Take the weights out of the inputs, where IR version 3 lists them: what may be replaced cannot be quantized."""
    graph = model.graph
    model.ir_version = max(model.ir_version, _IR_OF_OPSET_13)
    weights = {tensor.name for tensor in graph.initializer}
    kept = [value for value in graph.input if value.name not in weights]
    del graph.input[:]
    graph.input.extend(kept)
