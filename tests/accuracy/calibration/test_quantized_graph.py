"""The int8 network: where its nodes are, what their scales are, and what comes out of it."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import numpy_helper

from asyncbench.accuracy.calibration.quantized_graph import write_quantized_model
from asyncbench.accuracy.calibration.table import CalibrationTable, write_table
from asyncbench.errors import BadInputError
from asyncbench.models.onnx_model import check_quantized
from asyncbench.sweep.cell import Precision

PROGRAM = """
import sys
from pathlib import Path
from asyncbench.accuracy.calibration.quantized_graph import write_quantized_model
from asyncbench.accuracy.calibration.table import read_table
write_quantized_model(Path(sys.argv[1]), read_table(Path(sys.argv[2])), Path(sys.argv[3]))
"""


def quantized(path: Path, table: CalibrationTable, **options) -> onnx.ModelProto:
    out = path.with_name("int8.onnx")
    write_quantized_model(path, table, out, **options)
    return onnx.load(str(out))


def run(model: Path | bytes, items: np.ndarray) -> np.ndarray:
    session = onnxruntime.InferenceSession(
        model if isinstance(model, bytes) else str(model), providers=["CPUExecutionProvider"]
    )
    return session.run(None, {"input": items})[0]


def nodes_of(model: onnx.ModelProto, operator: str) -> list[onnx.NodeProto]:
    return [node for node in model.graph.node if node.op_type == operator]


def constant(model: onnx.ModelProto, name: str) -> np.ndarray:
    return next(numpy_helper.to_array(tensor) for tensor in model.graph.initializer if tensor.name == name)


def maker(model: onnx.ModelProto, tensor: str) -> onnx.NodeProto:
    return next(node for node in model.graph.node if tensor in node.output)


def test_input_and_weights_of_every_convolution_and_product_are_int8_and_its_output_and_bias_are_not(
    network_path, table
):
    model = quantized(network_path, table)

    users = {name: node.op_type for node in model.graph.node for name in node.input}
    weighted = nodes_of(model, "Conv") + nodes_of(model, "Gemm")
    assert len(weighted) == 3
    for node in weighted:
        assert [maker(model, name).op_type for name in node.input[:2]] == ["DequantizeLinear"] * 2
        assert users[node.output[0]] in {"Relu", "Add", "Softmax"}
    assert weighted[0].input[2] == "b1"
    assert constant(model, "b1").dtype == np.float32
    check_quantized(model, Precision.INT8)


def test_activations_are_symmetric_with_the_scale_of_the_table(network_path, table):
    model = quantized(network_path, table)

    for tensor in ("input", "relu1", "flat"):
        quantize = next(node for node in nodes_of(model, "QuantizeLinear") if node.input[0] == tensor)
        scale, zero = (constant(model, name) for name in quantize.input[1:])
        assert scale == pytest.approx(table.ranges[tensor] / 127, rel=1e-6)
        assert (zero.dtype, zero.item()) == (np.int8, 0)


def test_weights_are_symmetric_with_a_scale_for_each_output_channel(network_path, table):
    model = quantized(network_path, table)

    for weights in ("w1", "w2", "w3"):
        quantize = next(node for node in nodes_of(model, "QuantizeLinear") if node.input[0] == weights)
        values = constant(model, weights)
        scales, zeros = (constant(model, name) for name in quantize.input[1:])
        expected = np.abs(values).reshape(len(values), -1).max(axis=1) / 127
        assert [one.i for one in quantize.attribute if one.name == "axis"] == [0]
        assert scales == pytest.approx(expected, rel=1e-2)
        assert not zeros.any()


def test_a_skip_connection_reads_what_the_convolution_beside_it_reads(network_path, table):
    model = quantized(network_path, table)

    (add,) = nodes_of(model, "Add")
    second = nodes_of(model, "Conv")[1]
    assert add.input[1] == second.input[0]
    assert add.input[0] == second.output[0]


@pytest.mark.parametrize(
    "options", [{}, {"opset": 11}, {"opset": 11, "weights_as_inputs": True}, {"opset": 17}], ids=str
)
def test_it_computes_nearly_the_same_at_every_batch(tmp_path, write_network, calibrate_small, options):
    path = write_network(tmp_path / "net.onnx", scale=0.3, **options)
    model = quantized(path, calibrate_small(path))
    items = np.random.default_rng(5).standard_normal((5, 3, 8, 8), dtype=np.float32)

    outputs = run(model.SerializeToString(), items)

    onnx.checker.check_model(model, full_check=True)
    assert outputs == pytest.approx(run(path, items), abs=0.03)
    assert run(model.SerializeToString(), items[:1]) == pytest.approx(outputs[:1], abs=1e-6)
    assert model.graph.input[0].type.tensor_type.shape.dim[0].dim_param == "N"


def test_a_tensor_that_was_always_0_does_no_harm(network_path, table):
    model = quantized(network_path, replace(table, ranges=table.ranges | {"flat": 0.0}))

    outputs = run(model.SerializeToString(), np.zeros((1, 3, 8, 8), dtype=np.float32))

    assert np.isfinite(outputs).all()


def test_equal_inputs_give_equal_bytes_in_any_process(network_path, table, tmp_path):
    write_table(table, tmp_path / "table.json")
    written = []

    for seed in ("1", "2"):
        out = tmp_path / f"{seed}.onnx"
        arguments = [sys.executable, "-c", PROGRAM, network_path, tmp_path / "table.json", out]
        subprocess.run(arguments, check=True, env=os.environ | {"PYTHONHASHSEED": seed})
        written.append(out.read_bytes())

    assert written[0] == written[1]


def test_a_table_of_another_model_is_refused_by_name(tmp_path, write_network, table):
    other = write_network(tmp_path / "other.onnx", scale=0.5)

    with pytest.raises(BadInputError, match=r"mine\.json is a table of another model"):
        quantized(other, table, source="mine.json")

    assert not other.with_name("int8.onnx").exists()


def test_a_table_that_does_not_say_of_which_model_it_is_is_taken_where_its_tensors_are_in_the_graph(
    network_path, table
):
    nobodys = replace(table, model_sha256=None)

    assert quantized(network_path, nobodys) == quantized(network_path, table)
    with pytest.raises(BadInputError, match=r"mine\.json is of another model: 1 of its 8 tensors are not .*\(conv9\)"):
        quantized(network_path, replace(nobodys, ranges=table.ranges | {"conv9": 1.0}), source="mine.json")


def test_no_room_for_the_temporary_copy_is_said_with_the_folder_and_its_variable(network_path, table, tmp_path):
    folder = tmp_path / "temporary"
    folder.mkdir()
    limit = "\nimport resource; resource.setrlimit(resource.RLIMIT_FSIZE, (100, 100))\n"
    script = PROGRAM.replace("\nwrite_", f"{limit}write_")
    write_table(table, tmp_path / "table.json")

    arguments = [sys.executable, "-c", script, network_path, tmp_path / "table.json", tmp_path / "int8.onnx"]
    environment = os.environ | {"TMPDIR": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}  # half of a module's is kept
    done = subprocess.run(arguments, check=False, capture_output=True, text=True, env=environment)

    last = done.stderr.splitlines()[-1]
    assert last.startswith("asyncbench.errors.OutputError: int8 needs a temporary copy")
    assert f"no room for it in {folder} (File too large)" in last
    assert "TMPDIR" in last


def test_a_range_that_is_missing_is_named(network_path, table):
    ranges = {name: amax for name, amax in table.ranges.items() if name != "relu1"}

    with pytest.raises(BadInputError, match="has no range for relu1"):
        quantized(network_path, replace(table, ranges=ranges))


def test_a_tensor_that_the_graph_does_not_have_is_named(network_path, table):
    with pytest.raises(BadInputError, match=r"are not in the graph \(conv9\)"):
        quantized(network_path, replace(table, ranges=table.ranges | {"conv9": 1.0}))
