from __future__ import annotations

import dataclasses
import gc
import hashlib
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from asyncbench.backends.base import EngineRequest, TensorSpec
from asyncbench.backends.onnxruntime import OnnxRuntimeBackend
from asyncbench.backends.onnxruntime_buffers import LaneBuffers
from asyncbench.backends.onnxruntime_session import load_model, shrink_arena
from asyncbench.errors import BackendUnavailableError, BadInputError, DoesNotFitError, OutputError
from asyncbench.sweep.cell import Precision


def request_for(path: Path, *, batches=(1, 2), precision=Precision.FP32):
    return EngineRequest(
        model_name="small", model_path=path, precision=precision, device="cpu", batches=batches, max_concurrency=2
    )


def write_relu(path, *, shape=("N", 4), output_shape=("N", 4), dtype=TensorProto.FLOAT, op="Relu", **attributes):
    x = helper.make_tensor_value_info("x", dtype, shape)
    y = helper.make_tensor_value_info("y", dtype, output_shape)
    graph = helper.make_graph([helper.make_node(op, ["x"], ["y"], **attributes)], "g", [x], [y])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


async def refusal_of(request, kind=BadInputError):
    with pytest.raises(kind) as refusal:
        await OnnxRuntimeBackend().open_engine(request).__aenter__()
    assert "\n" not in str(refusal.value)
    assert refusal.value.remedy
    return str(refusal.value)


async def test_the_facts_are_those_of_the_file_and_the_session(tmp_path):
    path = write_relu(tmp_path / "relu.onnx")

    async with OnnxRuntimeBackend(intra_op_threads=2).open_engine(request_for(path)) as engine:
        facts = engine.facts

    assert facts.engine_hash == hashlib.sha256(path.read_bytes()).hexdigest()
    assert facts.inputs == (TensorSpec(name="x", item_shape=(4,), dtype="float32"),)
    assert facts.outputs == (TensorSpec(name="y", item_shape=(4,), dtype="float32"),)
    assert facts.load_ns > 0
    assert facts.device_name
    assert facts.extra["intra_op_threads"] == 2


async def test_a_precision_other_than_that_of_the_file_is_refused(tmp_path):
    request = request_for(write_relu(tmp_path / "relu.onnx"), precision=Precision.FP16)

    assert "--precision fp32" in await refusal_of(request, BackendUnavailableError)


@pytest.mark.parametrize("content", [b"", b"hello world", b"\x08\x08"], ids=["empty", "text", "no graph"])
async def test_a_file_that_is_no_model_is_refused_in_one_line(tmp_path, content):
    path = tmp_path / "bad.onnx"
    path.write_bytes(content)

    assert str(path) in await refusal_of(request_for(path))


async def test_a_missing_file_is_refused_in_one_line(tmp_path):
    assert "No such file" in await refusal_of(request_for(tmp_path / "none.onnx"))


async def test_a_fixed_batch_is_refused_for_other_batches_and_used_for_its_own(tmp_path):
    path = write_relu(tmp_path / "fixed.onnx", shape=(2, 4), output_shape=(2, 4))

    assert "only a fixed batch of 2" in await refusal_of(request_for(path, batches=(1, 2)))
    async with OnnxRuntimeBackend().open_engine(request_for(path, batches=(2,))) as engine:
        assert engine.facts.inputs[0].item_shape == (4,)


async def test_a_free_axis_other_than_the_batch_is_refused(tmp_path):
    path = write_relu(tmp_path / "free.onnx", shape=("N", "width"), output_shape=("N", "width"))

    assert "an axis other than the batch is free" in await refusal_of(request_for(path))


async def test_an_output_without_the_batch_is_refused(tmp_path):
    path = write_relu(tmp_path / "mixed.onnx", op="ReduceSum", keepdims=0, output_shape=())

    assert "does not have the batch of 1" in await refusal_of(request_for(path, batches=(2,)))


async def test_an_output_whose_shape_the_graph_does_not_state_is_found_by_running_it(tmp_path):
    path = write_relu(tmp_path / "unstated.onnx", output_shape=("N", "something"))

    async with OnnxRuntimeBackend().open_engine(request_for(path)) as engine:
        assert engine.facts.outputs[0].item_shape == (4,)


async def test_integers_stay_integers(tmp_path):
    path = write_relu(tmp_path / "abs.onnx", op="Abs", dtype=TensorProto.INT32)
    inputs = {"x": np.arange(-4, 0, dtype=np.int32).reshape(1, 4)}

    async with (
        OnnxRuntimeBackend().open_engine(request_for(path)) as engine,
        engine.open_lanes(batch=1, count=1, inputs=inputs) as (lane,),
    ):
        await lane.infer()
        outputs = lane.read_outputs()

    assert outputs["y"].dtype == np.int32
    assert outputs["y"].tolist() == [[4, 3, 2, 1]]


def write_product(path):
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, ("N", 4))
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, ("N", 4))
    weights = numpy_helper.from_array(np.eye(4, dtype=np.float32), "w")
    graph = helper.make_graph([helper.make_node("MatMul", ["x", "w"], ["y"])], "g", [x], [y], [weights])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), path)
    return path


def calibrated_request(path, cache: bytes):
    calibration_path = path.with_name("old.cache")
    calibration_path.write_bytes(cache)
    request = request_for(path, precision=Precision.INT8)
    return dataclasses.replace(request, calibration_path=calibration_path)


@pytest.mark.parametrize("head", [b"TRT-8601-EntropyCalibration2\n", b"1\n"])
async def test_a_calibration_cache_of_tensorrt_is_taken_as_it_is_where_its_tensors_are_the_models(tmp_path, head):
    lines = b"x: 3c010204\ny: 3c010204\n(Unnamed Layer* 4) [Constant]_output: 3d65992f\n"
    request = calibrated_request(write_product(tmp_path / "product.onnx"), head + lines)
    inputs = {"x": np.array([[0.2501, -0.2501, 5, 0]], dtype=np.float32)}  # of at most 1 in steps of 1 / 127

    async with (
        OnnxRuntimeBackend(quantized_folder=tmp_path / "int8").open_engine(request) as engine,
        engine.open_lanes(batch=1, count=1, inputs=inputs) as (lane,),
    ):
        await lane.infer()
        outputs = lane.read_outputs()

    assert outputs["y"][0] == pytest.approx([32 / 127, -32 / 127, 1, 0], abs=1e-6)


async def test_a_calibration_cache_of_another_model_is_refused_by_name(tmp_path):
    request = calibrated_request(write_product(tmp_path / "product.onnx"), b"1\nx: 3c010204\nconv77: 3c010204\n")

    with pytest.raises(BadInputError, match=r"old\.cache is of another model: 1 of its 2 tensors .*\(conv77\)"):
        await OnnxRuntimeBackend(quantized_folder=tmp_path / "int8").open_engine(request).__aenter__()


async def test_a_folder_for_int8_networks_that_cannot_be_created_is_said_with_the_variable(tmp_path):
    request = calibrated_request(write_product(tmp_path / "product.onnx"), b"1\nx: 3c010204\n")
    backend = OnnxRuntimeBackend(quantized_folder=request.calibration_path / "int8")

    with pytest.raises(OutputError, match="ASYNCBENCH_CACHE"):
        await backend.open_engine(request).__aenter__()


async def test_lanes_that_no_memory_can_hold_do_not_fit(tmp_path):
    inputs = {"x": np.broadcast_to(np.float32(0), (2**45, 4))}

    async with OnnxRuntimeBackend().open_engine(request_for(write_relu(tmp_path / "relu.onnx"))) as engine:
        with pytest.raises(DoesNotFitError, match="a lane of batch 35184372088832") as refusal:
            await engine.open_lanes(batch=2**45, count=1, inputs=inputs).__aenter__()

    assert refusal.value.facts["requested_bytes"] >= 2**45 * 32


def test_a_run_keeps_the_memory_that_it_writes_to_though_nobody_else_does(tmp_path):
    # As the thread of an abandoned lane does.
    model = load_model(write_relu(tmp_path / "relu.onnx"), batches=(3,), intra_op_threads=1)

    run = LaneBuffers(model, batch=3, inputs={"x": np.full((3, 4), 2, np.float32)}).run
    gc.collect()
    run()

    assert [array.tolist() for array in run.arrays] == [[[2.0] * 4] * 3] * 2


def test_the_arena_can_be_shrunk_between_cells(tmp_path):
    model = load_model(write_relu(tmp_path / "relu.onnx"), batches=(1,), intra_op_threads=1)
    buffers = LaneBuffers(model, batch=3, inputs={"x": np.full((3, 4), 2, np.float32)})

    buffers.run()
    shrink_arena(model)
    buffers.run()

    assert buffers.read_outputs()["y"].tolist() == [[2.0] * 4] * 3
