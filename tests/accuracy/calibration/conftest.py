"""A small network with everything that matters to quantization, and a table for it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from asyncbench.accuracy.calibration.calibrate import CalibrationBatch, calibrate
from asyncbench.accuracy.calibration.table import CalibrationTable, ImageHash, Method, MethodName


@pytest.fixture(scope="session")
def write_network():
    """Return a function that writes the network and returns its path."""
    return _write_network


@pytest.fixture(scope="session")
def calibrate_small():
    """Return a function that calibrates the network on seeded noise and returns its table."""
    return _calibrate_small


@pytest.fixture
def network_path(tmp_path) -> Path:
    return _write_network(tmp_path / "net.onnx")


@pytest.fixture
def table(network_path) -> CalibrationTable:
    return _calibrate_small(network_path)


def _calibrate_small(path: Path, *, method: MethodName = MethodName.MIN_MAX, seed: int = 1) -> CalibrationTable:
    rng = np.random.default_rng(seed)
    batches = [
        CalibrationBatch(
            inputs={"input": rng.standard_normal((2, 3, 8, 8), dtype=np.float32)},
            images=tuple(ImageHash(name=f"{index}{side}.jpg", sha256=f"{index}{side}" * 32) for side in "ab"),
        )
        for index in range(3)
    ]
    return calibrate(path, batches, method=Method(name=method), recipe="noise", on_progress=lambda _: None)


def _write_network(path: Path, *, opset: int = 13, scale: float = 1.0, weights_as_inputs: bool = False) -> Path:
    """Write conv -> relu -> conv, the relu added to it -> mean -> gemm -> softmax; the batch is free."""
    rng = np.random.default_rng(0)

    def weights(name, *shape):
        return numpy_helper.from_array(rng.standard_normal(shape, dtype=np.float32) * np.float32(scale), name)

    initializers = [weights("w1", 4, 3, 3, 3), weights("b1", 4), weights("w2", 4, 4, 3, 3), weights("w3", 5, 4)]
    nodes = [
        helper.make_node("Conv", ["input", "w1", "b1"], ["conv1"], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["conv1"], ["relu1"]),
        helper.make_node("Conv", ["relu1", "w2"], ["conv2"], pads=[1, 1, 1, 1]),
        helper.make_node("Add", ["conv2", "relu1"], ["sum"]),
        helper.make_node("GlobalAveragePool", ["sum"], ["pool"]),
        helper.make_node("Flatten", ["pool"], ["flat"]),
        helper.make_node("Gemm", ["flat", "w3"], ["logits"], transB=1),
        helper.make_node("Softmax", ["logits"], ["prob"], axis=1),
    ]
    inputs = [helper.make_tensor_value_info("input", TensorProto.FLOAT, ["N", 3, 8, 8])]
    if weights_as_inputs:
        inputs += [helper.make_tensor_value_info(one.name, TensorProto.FLOAT, one.dims) for one in initializers]
    outputs = [helper.make_tensor_value_info("prob", TensorProto.FLOAT, ["N", 5])]
    graph = helper.make_graph(nodes, "small", inputs, outputs, initializers)
    ir_version = 3 if weights_as_inputs else 8
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=ir_version)
    path.write_bytes(model.SerializeToString())
    return path
