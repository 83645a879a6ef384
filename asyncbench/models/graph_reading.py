"""Reading of the facts that follow from the nodes of a model; see `graph_facts`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from onnx import ModelProto, NodeProto, TensorProto

from asyncbench.models.graph_facts import GraphFacts, OutputsBehind
from asyncbench.models.graph_precision import graph_precision
from asyncbench.models.graph_walk import nodes_of, nodes_within, tensors_of
from asyncbench.models.onnx_file import read_without_weights

_STANDARD_DOMAINS = frozenset({"", "ai.onnx", "ai.onnx.ml"})
_RANDOM = frozenset(
    {"RandomNormal", "RandomNormalLike", "RandomUniform", "RandomUniformLike", "Multinomial", "Bernoulli"}
)
_DROPOUT_TRAINING_INPUT = 2

_IsSource = Callable[[NodeProto], bool]


def read_graph_facts(path: Path) -> GraphFacts:
    """Return what the nodes of the model in `path` say of it. Blocking: skips the weights.

    Raises:
        BadInputError: It cannot be read, or is not ONNX.
    """
    model = read_without_weights(path)
    defined = {(function.domain, function.name) for function in model.functions}
    constants = _constants(model)

    def is_random(node: NodeProto) -> bool:
        return node.domain in _STANDARD_DOMAINS and (node.op_type in _RANDOM or _drops(node, constants))

    def is_foreign(node: NodeProto) -> bool:
        return node.domain not in _STANDARD_DOMAINS and (node.domain, node.op_type) not in defined

    return GraphFacts(
        precision=graph_precision(model),
        random=_outputs_behind(model, is_random),
        foreign=_outputs_behind(model, is_foreign),
    )


def _outputs_behind(model: ModelProto, is_source: _IsSource) -> OutputsBehind:
    sources = [node for node in nodes_of(model) if is_source(node)]
    if not sources:
        return OutputsBehind()
    calls = _functions_with(model, is_source)
    touched: set[str] = set()
    for node in model.graph.node:  # which ONNX has in the order in which they are computed
        inside = list(nodes_within(node))
        read = {name for one in inside for name in one.input}
        if read & touched or any(is_source(one) or (one.domain, one.op_type) in calls for one in inside):
            touched.update(node.output)
    names = {f"{node.domain}.{node.op_type}".removeprefix(".").removeprefix("ai.onnx.") for node in sources}
    return OutputsBehind(
        operators=tuple(sorted(names)),
        outputs=frozenset(value.name for value in model.graph.output if value.name in touched),
    )


def _functions_with(model: ModelProto, is_source: _IsSource) -> set[tuple[str, str]]:
    """Return the local functions that have such a node, or call a function that has."""
    found: set[tuple[str, str]] = set()
    while True:
        more = {
            (function.domain, function.name)
            for function in model.functions
            for node in function.node
            for one in nodes_within(node)
            if is_source(one) or (one.domain, one.op_type) in found
        }
        if more <= found:
            return found
        found |= more


def _constants(model: ModelProto) -> dict[str, TensorProto]:
    made = {
        node.output[0]: attribute.t
        for node in nodes_of(model)
        if node.op_type == "Constant" and node.output
        for attribute in node.attribute
        if attribute.name == "value"
    }
    return made | {tensor.name: tensor for tensor in tensors_of(model) if tensor.name}


def _drops(node: NodeProto, constants: Mapping[str, TensorProto]) -> bool:
    """Return whether a node is a Dropout that drops: only in training mode, which is off unless an input says so."""
    if node.op_type != "Dropout" or len(node.input) <= _DROPOUT_TRAINING_INPUT:
        return False
    name = node.input[_DROPOUT_TRAINING_INPUT]
    if not name:
        return False
    mode = constants.get(name)
    return mode is None or mode.data_location == TensorProto.EXTERNAL or any(mode.raw_data) or any(mode.int32_data)
