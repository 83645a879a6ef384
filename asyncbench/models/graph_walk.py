"""Every node and tensor of an ONNX model, wherever the format allows one.

A graph is only the outermost place: the bodies of If, Loop and Scan, local functions and training graphs have nodes
and weights of their own, and an attribute of any node can hold tensors, as Constant's does.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from onnx import AttributeProto, FunctionProto, GraphProto, ModelProto, NodeProto, SparseTensorProto, TensorProto


def nodes_of(model: ModelProto) -> Iterator[NodeProto]:
    """Give each node once, in no particular order."""
    for place in _places(model):
        yield from place.node


def nodes_within(node: NodeProto) -> Iterator[NodeProto]:
    """Give a node, and those of the graphs in its attributes, such as the branches of an If."""
    yield node
    for graph in _graphs_below(_graphs(node.attribute)):
        yield from graph.node


def tensors_of(model: ModelProto) -> Iterator[TensorProto]:
    """Give each tensor that the file holds or refers to once, in no particular order."""
    for place in _places(model):
        if isinstance(place, GraphProto):
            yield from place.initializer
            yield from _dense(place.sparse_initializer)
        for attribute in _attributes(place):
            if attribute.HasField("t"):
                yield attribute.t
            if attribute.HasField("sparse_tensor"):
                yield from _dense([attribute.sparse_tensor])
            yield from attribute.tensors
            yield from _dense(attribute.sparse_tensors)


def _places(model: ModelProto) -> Iterator[GraphProto | FunctionProto]:
    """Give what has nodes."""
    places: list[GraphProto | FunctionProto] = [model.graph, *model.functions]
    places += (graph for one in model.training_info for graph in (one.initialization, one.algorithm))
    for place in places:
        yield place
        yield from _graphs_below(_graphs(_attributes(place)))


def _graphs_below(graphs: Iterable[GraphProto]) -> Iterator[GraphProto]:
    """Give the graphs and those inside of them. Without recursion: how deep they lie is the file's choice."""
    waiting = list(graphs)
    while waiting:
        graph = waiting.pop()
        yield graph
        waiting.extend(_graphs(_attributes(graph)))


def _graphs(attributes: Iterable[AttributeProto]) -> Iterator[GraphProto]:
    for attribute in attributes:
        if attribute.HasField("g"):
            yield attribute.g
        yield from attribute.graphs


def _attributes(place: GraphProto | FunctionProto) -> Iterator[AttributeProto]:
    if isinstance(place, FunctionProto):
        yield from place.attribute_proto  # defaults, where a call gives none
    for node in place.node:
        yield from node.attribute


def _dense(tensors: Iterable[SparseTensorProto]) -> Iterator[TensorProto]:
    for tensor in tensors:
        yield tensor.values
        yield tensor.indices
