"""Whose figures a record has: of which weights, of which network, in which precision, of which outputs."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from onnx import TensorProto, helper, numpy_helper

from asyncbench.accuracy.calibration.image_calibration import calibrate_on_images, parse_method
from asyncbench.bench.accuracy.accuracy_check import open_labelled_data
from asyncbench.bench.find_model import find_model_under_test
from asyncbench.errors import BadInputError
from asyncbench.sweep.cell import Precision
from asyncbench.sweep.config import check_config

pytestmark = pytest.mark.slow

QUICK = ("--backend", "onnxruntime", "--batch", "1,2", "--concurrency", "2", "--iterations", "8", "--warmup", "none")
NOISE = (*QUICK, "--input", "random", "--output", "out.jsonl")


def write_network(folder, nodes, *, x=("N", 16), y=("N", 8), weights=(), elem_type=TensorProto.FLOAT, name="net"):
    ends = [helper.make_tensor_value_info(end, elem_type, shape) for end, shape in (("x", x), ("y", y))]
    graph = helper.make_graph(nodes, "g", ends[:1], ends[1:], list(weights))
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    path = folder / f"{name}.onnx"
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
    return write_network(tool.folder, [constant, helper.make_node("MatMul", ["x", "w"], ["y"])])


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


def write_not_finite(folder):
    weights = [initializer(np.zeros(16, np.float32), "zero")]
    infinite = [helper.make_node("Div", ["x", "zero"], ["y"])]
    nan = [helper.make_node("Mul", ["x", "zero"], ["a"]), helper.make_node("Div", ["a", "zero"], ["y"])]
    write_network(folder, infinite, y=("N", 16), weights=weights, name="infinite")
    write_network(folder, nan, y=("N", 16), weights=weights, name="nan")


def write_random(folder):
    nodes = [helper.make_node("RandomNormalLike", ["x"], ["r"]), helper.make_node("Add", ["x", "r"], ["y"])]
    write_network(folder, nodes, y=("N", 16), name="random")


def write_int8(folder):
    weights = [initializer(np.float32(0.1), "s"), initializer(np.int8(0), "z"), initializer(np.ones((16, 8), np.int8))]
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "s", "z"], ["qx"]),
        helper.make_node("DequantizeLinear", ["qx", "s", "z"], ["dx"]),
        helper.make_node("DequantizeLinear", ["w", "s", "z"], ["dw"]),
        helper.make_node("MatMul", ["dx", "dw"], ["y"]),
    ]
    write_network(folder, nodes, weights=weights, name="int8")


def write_fp16(folder):
    product = helper.make_node("MatMul", ["x", "w"], ["y"])
    weights = [initializer(np.ones((16, 8), np.float16))]
    write_network(folder, [product], weights=weights, elem_type=TensorProto.FLOAT16, name="fp16")


class Swept:
    """One sweep over networks that are each odd in their own way: what it said and wrote."""

    def __init__(self, tool):
        folder = tool.folder
        write_not_finite(folder)
        write_random(folder)
        write_int8(folder)
        write_fp16(folder)
        self.said = tool.run("sweep", *sorted(folder.glob("*.onnx")), *NOISE).stderr
        self.records = tool.records()

    def cells(self, model):
        cells = [record for record in self.records if record["kind"] == "cell" and record["model"] == model]
        assert [cell["batch"] for cell in cells] == [1, 2]
        return cells

    def told(self, model, code):
        reasons = [reason for cell in self.cells(model) for reason in cell["reasons"]]
        return [reason["text"] for reason in reasons if reason["code"] == code]


@pytest.fixture(scope="module")
def swept(make_tool, tmp_path_factory):
    return Swept(make_tool(tmp_path_factory.mktemp("networks")))


@pytest.mark.parametrize(("model", "kind"), [("infinite", "infinite"), ("nan", "NaN")])
def test_outputs_that_are_alike_and_not_finite_are_measured_and_told(swept, model, kind):
    # Such networks are faster than the runner: whether it kept up is not asked here.
    assert {cell["status"] for cell in swept.cells(model)} <= {"measured", "imprecise"}
    assert all(cell["throughput_items_s"] > 0 for cell in swept.cells(model))
    assert f"{model}: output 'y' is not finite ({kind} in 32 of 32 values)" in swept.said
    assert swept.told(model, "not_finite_outputs") == [
        f"output 'y' is not finite ({kind} in {n} of {n} values)" for n in (16, 32)
    ]


def test_a_network_that_draws_random_numbers_is_measured_and_nothing_but_shapes_compared(swept):
    assert {cell["status"] for cell in swept.cells("random")} <= {"measured", "imprecise"}
    assert [cell["outputs_checked"]["max_abs_difference"] for cell in swept.cells("random")] == [None, None]
    told = swept.told("random", "random_outputs")
    assert len(told) == 2
    assert all("it has random operators (RandomNormalLike)" in text for text in told)


@pytest.mark.parametrize("precision", ["int8", "fp16"])
def test_a_graph_of_another_precision_is_not_taken_for_fp32(swept, precision):
    assert f"fp32 asked, {precision} in the graph" in swept.said
    assert {(cell["precision"], cell["graph_precision"]) for cell in swept.cells(precision)} == {("fp32", precision)}


def test_the_precision_of_a_graph_is_in_the_header_and_may_be_asked_for(tool):
    write_int8(tool.folder)

    asked = tool.run("sweep", "int8.onnx", *NOISE, "--precision", "int8")

    assert "asked," not in asked.stderr
    assert {(cell["precision"], cell["graph_precision"]) for cell in tool.cells()} == {("int8", "int8")}
    assert [engine["graph_precision"] for engine in tool.records()[0]["engines"]] == ["int8"]


@pytest.fixture
def images(tool):
    """Two labelled images."""
    folder = tool.folder / "images"
    folder.mkdir()
    for name in ("a.png", "b.png"):
        (folder / name).write_bytes(cv2.imencode(".png", np.full((8, 8, 3), 99, np.uint8))[1].tobytes())
    (folder / "labels.json").write_text(
        '[{"file": "a.png", "accept_classes": [1]}, {"file": "b.png", "accept_classes": [2]}]'
    )
    return folder


def write_product(folder):
    product = helper.make_node("MatMul", ["x", "w"], ["y"])
    return write_network(folder, [product], weights=[initializer(np.ones((16, 8), np.float32))])


def write_classifier(folder, classes):
    """Write a network for images of 224 x 224 that is none of ours."""
    nodes = [
        helper.make_node("GlobalAveragePool", ["x"], ["a"]),
        helper.make_node("Flatten", ["a"], ["b"]),
        helper.make_node("MatMul", ["b", "w"], ["y"]),
    ]
    weights = [initializer(np.ones((3, classes), np.float32))]
    return write_network(folder, nodes, x=("N", 3, 224, 224), y=("N", classes), weights=weights)


def named_mobilenet(model):
    """Return what `sweep` and `accuracy` ask of a bench process."""
    return check_config({"model": "mobilenet", "model_file": str(model)}, source="")


def open_as_mobilenet(tool, model, _images):
    find_model_under_test(named_mobilenet(model), model_folder=tool.folder)


def calibrate_as_mobilenet(tool, model, images):
    calibrate_on_images(
        named_mobilenet(model),
        images,
        tool.folder / "table.json",
        subset=None,
        method=parse_method("entropy", None),
        model_folder=tool.folder,
        on_left_out=lambda *_: None,
        on_progress=lambda *_: None,
    )


@pytest.mark.parametrize("use", [open_as_mobilenet, calibrate_as_mobilenet])
def test_a_foreign_file_under_a_built_in_name_is_refused_by_its_inputs(tool, images, use):
    with pytest.raises(BadInputError) as refused:
        use(tool, write_product(tool.folder), images)

    assert "net.onnx is not MobileNet v1 1.0 224: its input is (N, 16) float32" in refused.value.message
    assert "leave the name mobilenet out" in refused.value.remedy


def test_a_foreign_file_under_a_built_in_name_is_one_line_and_nothing_is_written(tool):
    model = write_product(tool.folder)

    refused = tool.run("sweep", "mobilenet", "--model", model, *QUICK, "--output", "out.jsonl", check_code=2)

    assert "net.onnx is not MobileNet v1 1.0 224" in refused.stderr.splitlines()[-1]
    assert "Traceback" not in refused.stderr
    assert not (tool.folder / "out.jsonl").exists()


def test_a_classifier_with_other_classes_under_a_built_in_name_is_refused_by_its_outputs(tool):
    with pytest.raises(BadInputError) as refused:
        open_as_mobilenet(tool, write_classifier(tool.folder, 1000), None)

    assert "its output is (N, 1000) float32, that of mobilenet (N, 1001) float32" in refused.value.message


def test_another_architecture_with_the_same_ends_does_not_get_the_published_accuracy(tool, images):
    model = write_classifier(tool.folder, 1001)

    done = tool.run("accuracy", "mobilenet", "--model", model, "--dataset", images, "--output", "out.jsonl")

    (cell,) = tool.cells()
    assert cell["accuracy"]["n"] == 2
    assert [metric["published"] for metric in cell["accuracy"]["metrics"].values()] == [None, None]
    assert "not recognized as that" in done.stderr
    engine = tool.records()[0]["engines"][0]
    assert (engine["known_as"], engine["recognized"]) == ("mobilenet", False)


def test_the_remedy_for_a_foreign_file_without_a_name_is_no_name_that_does_not_fit(tool, images):
    keys = {"model_file": str(write_product(tool.folder)), "dataset": str(images), "input": "random"}
    config = check_config(keys, source="")
    found = find_model_under_test(config, model_folder=tool.folder)

    with pytest.raises(BadInputError) as refused:
        open_labelled_data(config, found, Precision.FP32)

    assert "net.onnx is none of the built-in networks" in refused.value.message
    assert "give a file of mobilenet, resnet50, ssdmobilenet" in refused.value.remedy
    assert "name it" not in refused.value.remedy


def test_calibrating_random_weights_says_so(tool, images):
    done = tool.run("calibrate", "mobilenet", "--images", images, "--output", "table.json")

    assert "the weights of the built-in mobilenet are random" in done.stderr
    assert (tool.folder / "table.json").exists()
