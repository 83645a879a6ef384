"""Whose figures a record has: of which weights, of which network, in which precision, of which outputs."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

pytestmark = pytest.mark.slow

QUICK = ("--backend", "onnxruntime", "--batch", "1,2", "--concurrency", "2", "--iterations", "8", "--warmup", "none")
NOISE = (*QUICK, "--input", "random", "--output", "out.jsonl")


def write_network(tool, nodes, *, x=("N", 16), y=("N", 8), weights=(), elem_type=TensorProto.FLOAT, name="net.onnx"):
    ends = [helper.make_tensor_value_info(name, elem_type, shape) for name, shape in (("x", x), ("y", y))]
    graph = helper.make_graph(nodes, "g", ends[:1], ends[1:], list(weights))
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    path = tool.folder / name
    path.write_bytes(model.SerializeToString())
    return path


def initializer(array, name="w"):
    return numpy_helper.from_array(np.asarray(array), name)


def write_weights_outside(tool, value):
    """Write a network whose weights are in a file beside it and in a Constant; the .onnx itself stays the same."""
    np.full(128, value, np.float32).tofile(tool.folder / "w.bin")
    tensor = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[16, 8], data_location=TensorProto.EXTERNAL)
    tensor.external_data.add(key="location", value="w.bin")
    constant = helper.make_node("Constant", [], ["w"], value=tensor)
    return write_network(tool, [constant, helper.make_node("MatMul", ["x", "w"], ["y"])])


def test_a_sweep_does_not_go_on_with_other_weights_in_the_file_beside_the_model(tool):
    model = write_weights_outside(tool, 1.0)
    tool.run("sweep", "--model", model, *NOISE)
    lines = (tool.folder / "out.jsonl").read_bytes().splitlines(keepends=True)
    begun = b"".join(lines[:2])
    (tool.folder / "out.jsonl").write_bytes(begun)
    write_weights_outside(tool, 7.0)

    (engine,) = tool.records()[0]["engines"]
    refused = tool.run("sweep", "--model", model, *NOISE, "--resume", check_code=2)

    assert "net is another model than in the results file" in refused.stderr
    assert (tool.folder / "out.jsonl").read_bytes() == begun
    assert {cell[key] for cell in tool.cells() for key in ("engine_hash", "model_hash")} == {engine["model_hash"]}


NOT_FINITE = {
    "infinite": [helper.make_node("Div", ["x", "zero"], ["y"])],
    "NaN": [helper.make_node("Mul", ["x", "zero"], ["a"]), helper.make_node("Div", ["a", "zero"], ["y"])],
}


@pytest.mark.parametrize("kind", NOT_FINITE)
def test_outputs_that_are_alike_and_not_finite_are_measured_and_told(tool, kind):
    weights = [initializer(np.zeros(16, np.float32), "zero")]
    model = write_network(tool, NOT_FINITE[kind], y=("N", 16), weights=weights)

    done = tool.run("sweep", "--model", model, *NOISE)

    cells = tool.cells()
    assert [cell["status"] for cell in cells] == ["measured"] * 2
    assert f"net: output 'y' is not finite ({kind} in 32 of 32 values)" in done.stderr
    told = [reason["text"] for cell in cells for reason in cell["reasons"] if reason["code"] == "not_finite_outputs"]
    assert told == [f"output 'y' is not finite ({kind} in {n} of {n} values)" for n in (16, 32)]
    assert tool.records()[-1]["best_throughput"] is not None


def test_a_network_that_draws_random_numbers_is_measured_and_nothing_but_shapes_compared(tool):
    nodes = [helper.make_node("RandomNormalLike", ["x"], ["r"]), helper.make_node("Add", ["x", "r"], ["y"])]

    tool.run("sweep", "--model", write_network(tool, nodes, y=("N", 16)), *NOISE)

    cells = tool.cells()
    assert [cell["status"] for cell in cells] == ["measured"] * 2
    for cell in cells:
        texts = [reason["text"] for reason in cell["reasons"] if reason["code"] == "random_outputs"]
        assert "it has random operators (RandomNormalLike)" in texts[0]
        assert cell["outputs_checked"]["max_abs_difference"] is None


def test_an_int8_graph_is_not_taken_for_fp32_and_may_be_asked_for_as_int8(tool):
    scales = [initializer(np.float32(0.1), "s"), initializer(np.int8(0), "z"), initializer(np.ones((16, 8), np.int8))]
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "s", "z"], ["qx"]),
        helper.make_node("DequantizeLinear", ["qx", "s", "z"], ["dx"]),
        helper.make_node("DequantizeLinear", ["w", "s", "z"], ["dw"]),
        helper.make_node("MatMul", ["dx", "dw"], ["y"]),
    ]
    model = write_network(tool, nodes, weights=scales)

    unasked = tool.run("sweep", "--model", model, *NOISE)
    asked = tool.run("sweep", "--model", model, *NOISE[:-1], "int8.jsonl", "--precision", "int8")
    refused = tool.run("sweep", "--model", model, *NOISE[:-1], "fp16.jsonl", "--precision", "fp16", check_code=2)

    assert "fp32 asked, int8 in the graph" in unasked.stderr
    assert {(cell["precision"], cell["graph_precision"]) for cell in tool.cells()} == {("fp32", "int8")}
    assert tool.records()[0]["engines"][0]["graph_precision"] == "int8"
    assert "asked," not in asked.stderr
    assert {(cell["precision"], cell["graph_precision"]) for cell in tool.cells("int8.jsonl")} == {("int8", "int8")}
    assert "the precision of its file" in refused.stderr


def test_an_fp16_graph_says_so(tool):
    product = helper.make_node("MatMul", ["x", "w"], ["y"])
    model = write_network(
        tool, [product], weights=[initializer(np.ones((16, 8), np.float16))], elem_type=TensorProto.FLOAT16
    )

    done = tool.run("sweep", "--model", model, *NOISE)

    assert "fp32 asked, fp16 in the graph" in done.stderr
    assert {cell["graph_precision"] for cell in tool.cells()} == {"fp16"}


@pytest.fixture
def pictures(tool):
    """Two labelled pictures."""
    folder = tool.folder / "pictures"
    folder.mkdir()
    for name in ("a.png", "b.png"):
        (folder / name).write_bytes(cv2.imencode(".png", np.full((8, 8, 3), 99, np.uint8))[1].tobytes())
    (folder / "labels.json").write_text(
        '[{"file": "a.png", "accept_classes": [1]}, {"file": "b.png", "accept_classes": [2]}]'
    )
    return folder


def write_classifier(tool, classes):
    """Write a network for pictures of 224 x 224 that is none of ours."""
    nodes = [
        helper.make_node("GlobalAveragePool", ["x"], ["a"]),
        helper.make_node("Flatten", ["a"], ["b"]),
        helper.make_node("MatMul", ["b", "w"], ["y"]),
    ]
    weights = [initializer(np.ones((3, classes), np.float32))]
    return write_network(tool, nodes, x=("N", 3, 224, 224), y=("N", classes), weights=weights)


COMMANDS = {
    "sweep": ("sweep", "mobilenet", *QUICK),
    "accuracy": ("accuracy", "mobilenet", "--dataset", "pictures"),
    "calibrate": ("calibrate", "mobilenet", "--images", "pictures"),
}


@pytest.mark.parametrize("name", COMMANDS)
def test_a_foreign_file_under_a_built_in_name_is_refused_by_its_inputs(tool, pictures, name):
    model = write_network(
        tool, [helper.make_node("MatMul", ["x", "w"], ["y"])], weights=[initializer(np.ones((16, 8), np.float32))]
    )

    refused = tool.run(*COMMANDS[name], "--model", model, "--output", "out.jsonl", check_code=2)

    assert "net.onnx is not MobileNet v1 1.0 224: its input is (N, 16) float32" in refused.stderr
    assert "leave the name mobilenet out" in refused.stderr
    assert "Traceback" not in refused.stderr
    assert not (tool.folder / "out.jsonl").exists()


def test_a_classifier_with_other_classes_under_a_built_in_name_is_refused_by_its_outputs(tool):
    model = write_classifier(tool, 1000)

    refused = tool.run(*COMMANDS["sweep"], "--model", model, "--output", "out.jsonl", check_code=2)

    assert "its output is (N, 1000) float32, that of mobilenet (N, 1001) float32" in refused.stderr


def test_another_architecture_with_the_same_ends_does_not_get_the_published_accuracy(tool, pictures):
    model = write_classifier(tool, 1001)

    done = tool.run("accuracy", "mobilenet", "--model", model, "--dataset", pictures, "--output", "out.jsonl")

    (cell,) = tool.cells()
    assert cell["accuracy"]["n"] == 2
    assert [metric["published"] for metric in cell["accuracy"]["metrics"].values()] == [None, None]
    assert "not recognized as that" in done.stderr
    engine = tool.records()[0]["engines"][0]
    assert (engine["known_as"], engine["recognized"]) == ("mobilenet", False)


def test_accuracy_of_random_weights_is_refused_with_where_to_get_others(tool, pictures):
    refused = tool.run("accuracy", "mobilenet", "--dataset", pictures, "--output", "out.jsonl", check_code=2)

    assert "the weights of the built-in mobilenet are random" in refused.stderr
    assert "--model; asyncbench models pull mobilenet fetches one" in refused.stderr
    assert not (tool.folder / "out.jsonl").exists()


def test_the_remedy_for_a_foreign_file_without_a_name_is_no_name_that_does_not_fit(tool, pictures):
    product = helper.make_node("MatMul", ["x", "w"], ["y"])
    foreign = write_network(tool, [product], weights=[initializer(np.ones((16, 8), np.float32))])

    refused = tool.run("accuracy", "--dataset", pictures, "--model", foreign, check_code=2)

    assert "net.onnx is none of the built-in networks" in refused.stderr
    assert "give a file of mobilenet, resnet50, ssdmobilenet" in refused.stderr
    assert "name it" not in refused.stderr


def test_calibrating_random_weights_says_so(tool, pictures):
    done = tool.run("calibrate", "mobilenet", "--images", pictures, "--output", "table.json")

    assert "the weights of the built-in mobilenet are random" in done.stderr
    assert (tool.folder / "table.json").exists()
