"""Real TensorRT-RTX bindings, whose builder needs no GPU, and small networks for them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from asyncbench.backends.tensorrt.bindings.find_bindings import find_bindings
from asyncbench.backends.tensorrt.bindings.gpu_facts import GpuFacts
from asyncbench.backends.tensorrt.bindings.versions import Bindings

RTX = "tensorrt_rtx_bindings"


@pytest.fixture(scope="session")
def rtx() -> Bindings:
    pytest.importorskip(RTX, reason="tensorrt-rtx-cu13-libs and -bindings 1.7 are not installed")
    return find_bindings([RTX])


@pytest.fixture
def ada() -> GpuFacts:
    """A GPU to build for ahead of time."""
    return GpuFacts(name="NVIDIA L4", compute_capability=(8, 9), driver_major=0, cuda_major=13)


@pytest.fixture
def write_network(tmp_path: Path) -> Callable[..., Path]:
    """Write a small network: input `(batch, 3, 8, 8)`, one convolution, and what is asked for behind it."""

    def write(*, name: str = "net", batch: str | int = "N", height: str | int = 8, operator: str = "Relu") -> Path:
        path = tmp_path / f"{name}.onnx"
        onnx.save(small_network(batch=batch, height=height, operator=operator), str(path))
        return path

    return write


@pytest.fixture
def quantized_network(tmp_path: Path) -> Path:
    """A convolution between int8 QuantizeLinear and DequantizeLinear nodes."""
    path = tmp_path / "quantized.onnx"
    onnx.save(_quantized_network(), str(path))
    return path


def small_network(*, batch: str | int, height: str | int, operator: str) -> onnx.ModelProto:
    rng = np.random.default_rng(0)
    weights = numpy_helper.from_array(rng.standard_normal((4, 3, 3, 3), dtype=np.float32), "weights")
    nodes = [
        helper.make_node("Conv", ["input", "weights"], ["features"], name="conv", pads=[1, 1, 1, 1]),
        helper.make_node(operator, ["features"], ["output"], name="last"),
    ]
    return _model(nodes, [weights], batch=batch, height=height)


def _quantized_network() -> onnx.ModelProto:
    rng = np.random.default_rng(0)
    initializers = [
        numpy_helper.from_array(np.float32(0.05), "scale"),
        numpy_helper.from_array(np.int8(0), "zero"),
        numpy_helper.from_array(rng.integers(-127, 127, (4, 3, 3, 3), dtype=np.int8), "weights"),
    ]
    nodes = [
        helper.make_node("QuantizeLinear", ["input", "scale", "zero"], ["input_q"]),
        helper.make_node("DequantizeLinear", ["input_q", "scale", "zero"], ["input_d"]),
        helper.make_node("DequantizeLinear", ["weights", "scale", "zero"], ["weights_d"]),
        helper.make_node("Conv", ["input_d", "weights_d"], ["output"], name="conv", pads=[1, 1, 1, 1]),
    ]
    return _model(nodes, initializers, batch="N", height=8)


def _model(
    nodes: list[onnx.NodeProto], initializers: list[TensorProto], *, batch: str | int, height: str | int
) -> onnx.ModelProto:
    graph = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, [batch, 3, height, 8])],
        [helper.make_tensor_value_info("output", TensorProto.FLOAT, [batch, 4, height, 8])],
        initializers,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
