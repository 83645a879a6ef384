"""Small networks in ONNX files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import onnx
from onnx import helper, numpy_helper

from asyncbench.tensors import AnyArray

Shape = Sequence[int | str] | None


def write_network(
    path: Path,
    nodes: Sequence[onnx.NodeProto],
    inputs: Mapping[str, Shape],
    outputs: Mapping[str, Shape],
    *,
    constants: Mapping[str, AnyArray] | None = None,
    element_types: Mapping[str, int] | None = None,
    opsets: Mapping[str, int] | None = None,
    ir_version: int = 8,
) -> Path:
    """Write a network and return its path.

    Args:
        nodes: Made by `onnx.helper.make_node`.
        inputs: The shape of each; a text is an axis of any size, such as `"N"` for the batch; None for an unknown one.
        outputs: As above.
        constants: What is in the file: weights, above all.
        element_types: Of inputs and outputs that are not float32, such as `onnx.TensorProto.INT64`.
        opsets: Versions of the operators by domain; None for version 17 of ONNX's own.
        ir_version: By default the one of ONNX 1.13: a newer one is more than some runtimes read.
    """
    others = element_types or {}

    def ends(shapes: Mapping[str, Shape]) -> list[onnx.ValueInfoProto]:
        return [
            helper.make_tensor_value_info(name, others.get(name, onnx.TensorProto.FLOAT), shape)
            for name, shape in shapes.items()
        ]

    weights = [numpy_helper.from_array(np.asarray(value), name) for name, value in (constants or {}).items()]
    graph = helper.make_graph(nodes, "graph", ends(inputs), ends(outputs), weights)
    versions = [helper.make_opsetid(domain, version) for domain, version in (opsets or {"": 17}).items()]
    onnx.save(helper.make_model(graph, opset_imports=versions, ir_version=ir_version), path)
    return path
