"""Ranges from running the network, and which tensors have one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from asyncbench.accuracy.calibration.calibrate import CalibrationBatch, calibrate, collect_ranges
from asyncbench.accuracy.calibration.float_graph import (
    calibrated_tensors,
    foreign_tensors,
    load_float_network,
    weighted_nodes,
)
from asyncbench.accuracy.calibration.quantized_graph import write_quantized_model
from asyncbench.accuracy.calibration.table import ImageHash, Method, MethodName
from asyncbench.errors import BadInputError
from asyncbench.models.inspection import inspect_model

MIN_MAX = Method(name=MethodName.MIN_MAX)
IMAGE = ImageHash(name="a.jpg", sha256="a" * 64)


def noise(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape, dtype=np.float32)


def save(path: Path, nodes: list[onnx.NodeProto], *weights: onnx.TensorProto, out: str = "y") -> Path:
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 4])],
        [helper.make_tensor_value_info(out, TensorProto.FLOAT, ["N", 4])],
        list(weights),
    )
    path.write_bytes(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8).SerializeToString()
    )
    return path


def test_what_feeds_a_convolution_or_matrix_product_has_a_range_and_what_comes_after_the_last_has_none(network_path):
    network = load_float_network(network_path)

    tensors = calibrated_tensors(network.graph)

    assert tensors == ("input", "conv1", "relu1", "conv2", "sum", "pool", "flat")


def test_integers_that_lead_to_a_matrix_product_have_no_range(tmp_path):
    nodes = [
        helper.make_node("Shape", ["x"], ["size"]),
        helper.make_node("Reshape", ["x", "size"], ["same"]),
        helper.make_node("MatMul", ["same", "w"], ["y"]),
    ]
    network = load_float_network(save(tmp_path / "m.onnx", nodes, numpy_helper.from_array(noise(4, 4), "w")))

    assert calibrated_tensors(network.graph) == ("x", "same")


def test_what_tensorrt_makes_of_a_weight_or_a_node_is_of_the_graph_and_other_names_are_foreign(network_path):
    model = onnx.load(str(network_path))
    model.graph.node[0].name = "/features/Conv"
    own = ("input", "conv1", "prob", "w3_output", "/features/Conv_output", "/features/Conv_17_output")
    own += ("node_of_relu1_output", "node_of_relu1_2_output")

    assert foreign_tensors(model.graph, (*own, "w3", "conv9", "w9_output", "conv1_2")) == (
        "w3",
        "conv9",
        "w9_output",
        "conv1_2",
    )


def test_a_product_of_two_computed_tensors_is_left_in_float(tmp_path):
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["a"]),
        helper.make_node("Transpose", ["a"], ["t"]),
        helper.make_node("MatMul", ["a", "t"], ["b"]),
        helper.make_node("MatMul", ["b", "x"], ["y"]),
    ]
    network = load_float_network(save(tmp_path / "m.onnx", nodes, numpy_helper.from_array(noise(4, 4), "w")))

    assert [node.output[0] for node in weighted_nodes(network.graph)] == ["a"]


def test_min_max_finds_the_largest_absolute_value_of_each_tensor(network_path):
    network = load_float_network(network_path)
    feeds = [{"input": noise(2, 3, 8, 8, seed=seed)} for seed in range(3)]

    ranges = collect_ranges(network, feeds, method=MIN_MAX)

    everything = np.concatenate([feed["input"] for feed in feeds])
    network.graph.output.append(helper.make_tensor_value_info("relu1", TensorProto.FLOAT, None))
    session = onnxruntime.InferenceSession(network.SerializeToString(), providers=["CPUExecutionProvider"])
    (relu1,) = session.run(["relu1"], {"input": everything})
    assert ranges["input"] == np.abs(everything).max()
    assert ranges["relu1"] == pytest.approx(relu1.max(), rel=1e-6)


def test_how_images_are_grouped_into_batches_does_not_matter(network_path):
    network = load_float_network(network_path)
    items = noise(6, 3, 8, 8)
    method = Method(name=MethodName.ENTROPY)

    by_two = collect_ranges(network, [{"input": items[start : start + 2]} for start in (0, 2, 4)], method=method)
    by_one = collect_ranges(network, [{"input": item[None]} for item in items], method=method)

    assert by_two == pytest.approx(by_one, rel=1e-6)


def test_the_table_says_of_which_model_and_images_it_is(network_path):
    progress: list[int] = []
    images = (IMAGE, ImageHash(name="b.jpg", sha256="b" * 64))
    batches = [CalibrationBatch(inputs={"input": noise(2, 3, 8, 8)}, images=images)] * 2

    table = calibrate(network_path, batches, method=MIN_MAX, recipe="squash", on_progress=progress.append)

    assert table.model_sha256 == inspect_model(network_path).sha256
    assert table.images == images * 2
    assert table.recipe == "squash"
    assert table.method == MIN_MAX
    assert table.versions == {"onnx": onnx.__version__, "onnxruntime": onnxruntime.__version__}
    assert progress == [2, 4]


def test_images_are_drawn_one_batch_at_a_time_and_what_progress_raises_ends_it(network_path):
    drawn = []

    def batches():
        for index in range(10):
            drawn.append(index)
            yield CalibrationBatch(inputs={"input": noise(1, 3, 8, 8)}, images=(IMAGE,))

    def stop_at_two(done: int) -> None:
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        calibrate(network_path, batches(), method=MIN_MAX, recipe=None, on_progress=stop_at_two)

    assert drawn == [0, 1]


def test_no_images_are_refused(network_path):
    with pytest.raises(BadInputError, match="no image to calibrate on"):
        calibrate(network_path, [], method=MIN_MAX, recipe=None, on_progress=lambda _: None)


def test_a_tensor_that_becomes_infinite_is_named_with_its_batch(network_path):
    network = load_float_network(network_path)
    feeds = [{"input": noise(1, 3, 8, 8)}, {"input": np.full((1, 3, 8, 8), 3e38, dtype=np.float32)}]

    with pytest.raises(BadInputError, match=r"tensor 'conv1' has NaN or infinite values on calibration batch 2"):
        collect_ranges(network, feeds, method=MIN_MAX)


def test_what_the_runtime_does_not_take_is_refused_in_plain_words(network_path, capfd):
    network = load_float_network(network_path)
    network.opset_import[0].version = 99

    with pytest.raises(BadInputError, match=r"is of opset 99 of ai\.onnx, and ONNX Runtime \S+ supports up to"):
        collect_ranges(network, [], method=MIN_MAX)
    assert capfd.readouterr() == ("", "")


def test_images_that_the_network_does_not_take_are_refused_in_one_line(network_path):
    with pytest.raises(BadInputError) as refused:
        collect_ranges(load_float_network(network_path), [{"input": np.zeros((1, 1), np.float32)}], method=MIN_MAX)

    assert "\n" not in str(refused.value)
    assert refused.value.remedy


def test_a_quantized_model_is_refused(network_path, table, tmp_path):
    path = tmp_path / "q.onnx"
    write_quantized_model(network_path, table, path)

    with pytest.raises(BadInputError, match="quantized already"):
        load_float_network(path)


def test_a_model_with_nothing_to_quantize_is_refused(tmp_path):
    path = save(tmp_path / "m.onnx", [helper.make_node("Relu", ["x"], ["y"])])

    with pytest.raises(BadInputError, match="no convolution or matrix product"):
        load_float_network(path)
