"""Small networks written on the spot, and the published ones where they are at hand."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import onnx
import pytest
from onnx import TensorProto, helper

Shape = Sequence["int | str | None"]


@pytest.fixture(scope="session")
def shared_folder():
    folder = Path(__file__).parents[2].parent / "shared"
    if not (folder / "models").is_dir():
        pytest.skip("../shared is not beside the repository")
    return folder


@pytest.fixture
def write_onnx(tmp_path) -> Callable[..., Path]:
    """Return a function that writes a network of the given nodes, inputs and outputs, and returns its path."""

    def write(
        nodes: Sequence[onnx.NodeProto],
        inputs: dict[str, Shape | None],
        outputs: dict[str, Shape | None],
        *,
        weights: Sequence[onnx.TensorProto] = (),
        elem_type: int = TensorProto.FLOAT,
        domains: Sequence[str] = ("",),
        opset: int = 13,
    ) -> Path:
        graph = helper.make_graph(
            nodes,
            "tiny",
            [helper.make_tensor_value_info(name, elem_type, shape) for name, shape in inputs.items()],
            [helper.make_tensor_value_info(name, elem_type, shape) for name, shape in outputs.items()],
            initializer=list(weights),
        )
        opsets = [helper.make_opsetid(domain, opset) for domain in domains]
        path = tmp_path / "tiny.onnx"
        path.write_bytes(helper.make_model(graph, opset_imports=opsets, ir_version=8).SerializeToString())
        return path

    return write


@pytest.fixture
def write_relu(write_onnx) -> Callable[..., Path]:
    """Return a function that writes the network `y = relu(x)` for the given shapes."""

    def write(shape: Shape | None, *, out: Shape | None = None, elem_type: int = TensorProto.FLOAT) -> Path:
        node = helper.make_node("Relu", ["x"], ["y"])
        return write_onnx([node], {"x": shape}, {"y": shape if out is None else out}, elem_type=elem_type)

    return write
