from __future__ import annotations

import dataclasses
import gc
import hashlib
import os
import re
import subprocess
import sys

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from asyncbench.backends.onnx_runtime.backend import OnnxRuntimeBackend
from asyncbench.backends.onnx_runtime.buffers import LaneBuffers
from asyncbench.backends.onnx_runtime.session import load_model, shrink_arena
from asyncbench.errors import BackendUnavailableError, BadInputError, DoesNotFitError, LaneError, OutputError
from asyncbench.sweep.cell import Precision
from asyncbench.tensors import TensorSpec
from asyncbench.testing import engine_request, write_network

MICROSOFT = {"": 17, "com.microsoft": 1}


def request_for(path, *, batches=(1, 2), **changes):
    return engine_request(model_path=path, batches=batches, max_concurrency=2, **changes)


def write_relu(path, *, shape=("N", 4), output_shape=("N", 4), dtype=TensorProto.FLOAT, op="Relu", **attributes):
    nodes, types = [helper.make_node(op, ["x"], ["y"], **attributes)], {"x": dtype, "y": dtype}
    return write_network(path, nodes, {"x": shape}, {"y": output_shape}, element_types=types)


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


async def test_the_precision_that_the_graph_has_may_be_asked_for(tmp_path):
    request = request_for(write_relu(tmp_path / "relu.onnx"), precision=Precision.FP16)

    for found in ("fp16", "fp16 (62 % of the weights)"):
        async with OnnxRuntimeBackend().open_engine(dataclasses.replace(request, graph_precision=found)) as engine:
            assert engine.facts.engine_hash
    for found in (None, "fp32", "fp32 with fp16 weights"):
        await refusal_of(dataclasses.replace(request, graph_precision=found), BackendUnavailableError)


async def test_a_hash_that_is_known_is_not_worked_out_again(tmp_path):
    request = dataclasses.replace(request_for(write_relu(tmp_path / "relu.onnx")), model_hash="known")

    async with OnnxRuntimeBackend().open_engine(request) as engine:
        assert engine.facts.engine_hash == "known"


@pytest.mark.parametrize("content", [b"", b"hello world", b"\x08\x08"], ids=["empty", "text", "no graph"])
async def test_a_file_that_is_no_model_is_refused_in_one_line(tmp_path, content):
    path = tmp_path / "bad.onnx"
    path.write_bytes(content)

    assert str(path) in await refusal_of(request_for(path))


def write_matmul(path, *, opset=17, ir_version=8, op="MatMul", domain="", dtype=np.float32):
    """Write `x @ w`, or what another operator makes of the two."""
    kind = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    write_network(
        path,
        [helper.make_node(op, ["x", "w"], ["y"], domain=domain)],
        {"x": ("N", 4)},
        {"y": ("N", 3)},
        constants={"w": np.ones((4, 3), dtype)},
        element_types={"x": kind, "y": kind},
        opsets={"": opset, domain: 1} if domain else {"": opset},
        ir_version=ir_version,
    )
    return path


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ({"opset": 99}, r"is of opset 99 of ai\.onnx, and ONNX Runtime \S+ supports up to opset \d+: export it with"),
        ({"ir_version": 99}, r"is of IR version 99, and ONNX Runtime \S+ supports up to IR version \d+: save it again"),
        ({"op": "Fancy"}, r"has the operator Fancy, which opset 17 does not have: export it"),
        (
            {"op": "Fancy", "domain": "com.acme"},
            r"has the operator Fancy of com\.acme, which .* without custom operators",
        ),
        ({"dtype": np.int16}, r"cannot be used as a model: .*"),
        ({"op": "Mod", "dtype": bool}, r"cannot be used as a model: .*"),
    ],
    ids=["opset", "IR version", "operator", "custom operator", "type", "another type"],
)
async def test_what_this_runtime_does_not_take_is_said_in_plain_words(tmp_path, what, said):
    text = await refusal_of(request_for(write_matmul(tmp_path / "new.onnx", **what)))

    assert re.fullmatch(rf"{re.escape(str(tmp_path))}/new\.onnx {said}.*", text)
    assert "[ONNXRuntimeError]" not in text
    assert "onnxruntime_src" not in text


async def test_an_operator_without_a_kernel_for_its_types_is_named(tmp_path):
    nodes = [
        helper.make_node("Cast", ["x"], ["h"], to=TensorProto.BFLOAT16),
        helper.make_node("MatMul", ["h", "h"], ["m"]),
        helper.make_node("Cast", ["m"], ["y"], to=TensorProto.FLOAT),
    ]
    path = write_network(tmp_path / "bf16.onnx", nodes, {"x": ("N", 4, 4)}, {"y": ("N", 4, 4)})

    assert "has a MatMul of types that ONNX Runtime" in await refusal_of(request_for(path))


async def test_a_damaged_name_is_refused_in_one_line_and_nothing_is_printed(tmp_path, capfd):
    path = write_matmul(tmp_path / "name.onnx")
    path.write_bytes(path.read_bytes().replace(b"MatMul", b"Mat\xb6ul"))

    assert "has a name in it that is not UTF-8" in await refusal_of(request_for(path))
    assert capfd.readouterr() == ("", "")


async def test_weights_behind_a_link_out_of_the_models_folder_are_named(tmp_path):
    (tmp_path / "w.bin").write_bytes(bytes(48))
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "w.bin").symlink_to(tmp_path / "w.bin")
    model = onnx.load(write_matmul(folder / "m.onnx"))
    weights = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[4, 3], data_location=TensorProto.EXTERNAL)
    weights.external_data.add(key="location", value="w.bin")
    model.graph.initializer[0].CopyFrom(weights)
    (folder / "m.onnx").write_bytes(model.SerializeToString())

    text = await refusal_of(request_for(folder / "m.onnx"))

    assert f"keeps weights in 'w.bin', which is a link to '{tmp_path}/w.bin' outside of the model's folder" in text


async def test_a_batch_that_a_reshape_has_as_a_constant_is_the_one_to_ask_for(tmp_path):
    node = helper.make_node("Reshape", ["x", "shape"], ["y"])
    constants = {"shape": np.array([8, -1, 16], np.int64)}
    path = write_network(tmp_path / "r.onnx", [node], {"x": ("N", 4, 16)}, {"y": None}, constants=constants)

    assert "use --batch 8" in await refusal_of(request_for(path, batches=(1, 2)))


OUTPUT_SHAPES = {"the batch": (1, 3), "the rank": ("N", 3, 1), "an item": ("N", 7)}


@pytest.mark.parametrize("shape", OUTPUT_SHAPES.values(), ids=OUTPUT_SHAPES)
@pytest.mark.parametrize("weights", ["inside", "beside"])
async def test_an_output_that_is_declared_wrongly_is_run_as_it_is(tmp_path, shape, weights):
    model = onnx.load(write_matmul(tmp_path / "m.onnx"))
    model.graph.output[0].CopyFrom(helper.make_tensor_value_info("y", TensorProto.FLOAT, shape))
    onnx.save(model, tmp_path / "m.onnx", save_as_external_data=weights == "beside", location="w.bin", size_threshold=0)

    backend, inputs = OnnxRuntimeBackend(), {"x": np.ones((3, 4), np.float32)}
    async with (
        backend.open_engine(request_for(tmp_path / "m.onnx", batches=(1, 3))) as engine,
        engine.open_lanes(batch=3, count=1, inputs=inputs) as (lane,),
    ):
        await lane.infer()

        np.testing.assert_array_equal(lane.read_outputs()["y"], np.full((3, 3), 4, np.float32))


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

    assert "output 'y' is a scalar, without the batch" in await refusal_of(request_for(path, batches=(2,)))


async def test_an_output_whose_shape_the_graph_does_not_state_is_found_by_running_it(tmp_path):
    path = write_relu(tmp_path / "unstated.onnx", output_shape=("N", "something"))

    async with OnnxRuntimeBackend().open_engine(request_for(path)) as engine:
        assert engine.facts.outputs[0].item_shape == (4,)


async def outputs_of(path, inputs, *, batch):
    async with (
        OnnxRuntimeBackend().open_engine(request_for(path, batches=(batch,))) as engine,
        engine.open_lanes(batch=batch, count=1, inputs=inputs) as (lane,),
    ):
        await lane.infer()
        return lane.read_outputs()


@pytest.mark.parametrize(("first", "second"), [("unk__13", "unk__14"), ("batch _size", "batch_size"), ("N", None)])
async def test_inputs_whose_free_axes_have_different_names_are_run(tmp_path, first, second):
    node = helper.make_node("Add", ["a", "b"], ["y"])
    path = write_network(tmp_path / "two.onnx", [node], {"a": (first, 4), "b": (second, 4)}, {"y": ("other", 4)})
    inputs = {name: np.ones((3, 4), np.float32) for name in ("a", "b")}

    assert (await outputs_of(path, inputs, batch=3))["y"].tolist() == [[2.0] * 4] * 3


@pytest.mark.parametrize("dtype", [np.uint32, np.uint64])
async def test_unsigned_integers_of_32_and_64_bits_are_fed(tmp_path, dtype):
    code = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    path = write_relu(tmp_path / "same.onnx", op="Identity", dtype=code)
    largest = np.full((2, 4), np.iinfo(dtype).max, dtype)

    outputs = await outputs_of(path, {"x": largest}, batch=2)

    assert outputs["y"].dtype == dtype
    assert np.array_equal(outputs["y"], largest)


async def test_an_operator_that_onnx_cannot_infer_tells_its_sizes_when_it_runs(tmp_path):
    node = helper.make_node("FusedMatMul", ["x", "w"], ["y"], domain="com.microsoft")
    constants = {"w": np.ones((4, 6), np.float32)}
    path = write_network(
        tmp_path / "m.onnx", [node], {"x": ("N", 4)}, {"y": None}, constants=constants, opsets=MICROSOFT
    )

    assert (await outputs_of(path, {"x": np.ones((3, 4), np.float32)}, batch=3))["y"].shape == (3, 6)


async def test_an_output_of_items_of_size_0_is_run(tmp_path):
    node = helper.make_node("Slice", ["x", "zero", "zero", "one"], ["y"])
    constants = {"zero": np.array([0], np.int64), "one": np.array([1], np.int64)}
    path = write_network(tmp_path / "zero.onnx", [node], {"x": ("N", 4)}, {"y": None}, constants=constants)

    assert (await outputs_of(path, {"x": np.ones((2, 4), np.float32)}, batch=2))["y"].shape == (2, 0)


class TestABatchThatTheGraphFixesInside:
    """Behind an operator that hides it from the inference of shapes."""

    @pytest.fixture
    def path(self, tmp_path):
        return self.write(tmp_path, [1, -1, 6])

    @staticmethod
    def write(folder, shape):
        nodes = [
            helper.make_node("FusedMatMul", ["x", "w"], ["m"], domain="com.microsoft"),
            helper.make_node("Reshape", ["m", "shape"], ["y"]),
        ]
        constants = {"w": np.ones((4, 6), np.float32), "shape": np.array(shape, np.int64)}
        inputs = {"x": ("N", 2, 4)}
        return write_network(folder / "hard.onnx", nodes, inputs, {"y": None}, constants=constants, opsets=MICROSOFT)

    async def test_is_run_alone(self, path):
        assert (await outputs_of(path, {"x": np.ones((1, 2, 4), np.float32)}, batch=1))["y"].shape == (1, 2, 6)

    @pytest.mark.parametrize("shape", [[1, -1, 6], [1, 2, 6]], ids=["swallows the batch", "fails"])
    @pytest.mark.parametrize("batches", [(1, 3), (3,), (1, 1_000_000)])
    async def test_is_refused_with_others_before_a_cell_runs(self, tmp_path, shape, batches):
        path = self.write(tmp_path, shape)

        text = await refusal_of(request_for(path, batches=batches))

        assert "at batch 1 it runs: the graph fixes the batch inside" in text
        assert "--batch 1" in text

    async def test_may_be_another_than_1(self, tmp_path):
        path = self.write(tmp_path, [4, -1, 6])

        assert (await outputs_of(path, {"x": np.ones((4, 2, 4), np.float32)}, batch=4))["y"].shape == (4, 2, 6)


async def test_a_first_axis_of_size_0_is_refused(tmp_path):
    path = write_relu(tmp_path / "zero.onnx", shape=(0, 4), output_shape=(0, 4))

    assert "has the size 0: export it with a free one" in await refusal_of(request_for(path))


@pytest.mark.parametrize("dtype", [TensorProto.STRING, TensorProto.BFLOAT16])
async def test_a_type_that_cannot_be_fed_is_named(tmp_path, dtype):
    path = write_relu(tmp_path / "same.onnx", op="Identity", dtype=dtype)

    text = await refusal_of(request_for(path))

    assert f"of the type {TensorProto.DataType.Name(dtype).lower()}, which cannot be fed" in text
    assert "batch axis" not in text


async def test_an_index_outside_of_its_table_names_the_input_that_fits_every_table(tmp_path):
    node = helper.make_node("Gather", ["table", "x"], ["y"])
    constants = {"table": np.ones((1, 8), np.float32)}
    path = write_network(
        tmp_path / "t.onnx",
        [node],
        {"x": ("N", 4)},
        {"y": None},
        constants=constants,
        element_types={"x": TensorProto.INT64},
    )

    with pytest.raises(LaneError, match=r"idx=1 must be within .* use --input zeros"):
        await outputs_of(path, {"x": np.ones((1, 4), np.int64)}, batch=1)
    assert (await outputs_of(path, {"x": np.zeros((1, 4), np.int64)}, batch=1))["y"].shape == (1, 4, 8)


async def test_an_inference_that_is_refused_memory_does_not_fit(tmp_path):
    nodes = [  # as many numbers in between as the largest of the input says
        helper.make_node("ReduceMax", ["x"], ["most"], keepdims=0),
        helper.make_node("Reshape", ["most", "one"], ["size"]),
        helper.make_node("ConstantOfShape", ["size"], ["many"]),
        helper.make_node("ReduceSum", ["many"], ["sum"], keepdims=0),
        helper.make_node("Cast", ["x"], ["floats"], to=TensorProto.FLOAT),
        helper.make_node("Add", ["floats", "sum"], ["y"]),
    ]
    path = write_network(
        tmp_path / "grows.onnx",
        nodes,
        {"x": ("N", 4)},
        {"y": None},
        constants={"one": np.array([1], np.int64)},
        element_types={"x": TensorProto.INT64},
    )

    assert (await outputs_of(path, {"x": np.ones((1, 4), np.int64)}, batch=1))["y"].shape == (1, 4)
    with pytest.raises(DoesNotFitError, match="was refused host memory"):
        await outputs_of(path, {"x": np.full((1, 4), 1 << 45)}, batch=1)


async def test_an_item_that_no_memory_holds_does_not_fit(tmp_path):
    path = write_relu(tmp_path / "huge.onnx", shape=("N", 1 << 45), output_shape=("N", 1 << 45))

    assert "refused host memory" in await refusal_of(request_for(path), DoesNotFitError)


def test_threads_that_the_machine_refuses_are_refused_before_the_runtime_hangs_on_them(tmp_path):
    path = write_relu(tmp_path / "relu.onnx")
    load = f"load_model(Path({str(path)!r}), batches=(1,), intra_op_threads=1024)"
    program = (
        "from pathlib import Path; from asyncbench.backends.onnx_runtime.session import load_model\n"
        "from asyncbench.errors import BackendUnavailableError\n"
        f"try: {load}\nexcept BackendUnavailableError as error: print(error)"
    )

    # Stacks of 8 MiB each: some 400 threads.
    done = subprocess.run(
        ["prlimit", "--as=3221225472", sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert "refused one of the 1024 threads" in done.stdout, done.stderr
    assert "lower --intra-op-threads" in done.stdout


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
    nodes, weights = [helper.make_node("MatMul", ["x", "w"], ["y"])], {"w": np.eye(4, dtype=np.float32)}
    return write_network(path, nodes, {"x": ("N", 4)}, {"y": ("N", 4)}, constants=weights)


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


async def test_a_calibration_that_is_missing_or_a_pipe_is_refused_and_not_waited_for(tmp_path):
    request = calibrated_request(write_product(tmp_path / "product.onnx"), b"")
    backend = OnnxRuntimeBackend(quantized_folder=tmp_path / "int8")
    request.calibration_path.unlink()

    with pytest.raises(BadInputError, match=r"old\.cache: No such file or directory: name a table"):
        await backend.open_engine(request).__aenter__()
    os.mkfifo(request.calibration_path)
    with pytest.raises(BadInputError, match=r"old\.cache: it is a pipe, not a file: name a table"):
        await backend.open_engine(request).__aenter__()


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
