"""What a command leaves open and a network decides: said once, the same in dry run, records and resume."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import TensorProto, helper

from asyncbench.testing import write_network

pytestmark = pytest.mark.slow

QUICK = ("--backend", "onnxruntime", "--concurrency", "1,2", "--iterations", "20", "--warmup", "none")


def write_small(path, *, shape, node=None, elem_type=TensorProto.FLOAT, constants=None):
    """Write a network of one node, `y = relu(x)` unless another is given."""
    nodes, types = [node or helper.make_node("Relu", ["x"], ["y"])], {"x": elem_type}
    write_network(path, nodes, {"x": shape}, {"y": None}, element_types=types, constants=constants, opsets={"": 13})


def test_the_batch_of_a_network_that_has_one_alone_is_measured_and_said_once(tool):
    write_small(tool.folder / "four.onnx", shape=[4, 8])

    done = tool.run("sweep", "--model", "four.onnx", "--input", "random", *QUICK, "--output", "out.jsonl")

    assert done.stderr.count("four.onnx has a fixed batch of 4: measured at batch 4") == 1
    header, *_ = tool.records()
    assert (header["config"][0]["batch"], header["cells"]) == ([4], 2)
    assert [(cell["batch"], cell["concurrency"]) for cell in tool.cells()] == [(4, 1), (4, 2)]


def test_a_dry_run_and_a_resumed_sweep_see_the_same_batch(tool):
    write_small(tool.folder / "four.onnx", shape=[4, 8])
    command = ("sweep", "--model", "four.onnx", "--input", "random", *QUICK)
    tool.run(*command, "--output", "out.jsonl")
    whole = (tool.folder / "out.jsonl").read_bytes().splitlines(keepends=True)
    (tool.folder / "out.jsonl").write_bytes(b"".join(whole[:2]))

    dry = tool.run(*command, "--dry-run")
    tool.run(*command, "--output", "out.jsonl", "--resume")

    assert "batch 4 x concurrency 1,2 = 2 cells" in dry.stderr
    assert [cell["index"] for cell in tool.cells()] == [0, 1]


def test_a_batch_that_the_graph_fixes_inside_is_measured_with_what_shows_it(tool):
    node = helper.make_node("Reshape", ["x", "shape"], ["y"])
    constants = {"shape": np.array([1, -1, 16], np.int64)}
    write_small(tool.folder / "hard.onnx", shape=["N", 4, 16], node=node, constants=constants)

    done = tool.run("sweep", "--model", "hard.onnx", "--input", "zeros", *QUICK, "--output", "out.jsonl")

    assert "output 'y' has the shape (1, 12, 16) at batch 3: the graph fixes the batch inside" in done.stderr
    assert {cell["batch"] for cell in tool.cells()} == {1}


def test_a_network_that_takes_no_images_is_fed_with_noise_which_is_said_and_recorded(tool):
    write_small(tool.folder / "vector.onnx", shape=["N", 8])

    done = tool.run("sweep", "--model", "vector.onnx", "--batch", "2", *QUICK, "--output", "out.jsonl")

    assert done.stderr.count("vector.onnx takes no images") == 1
    assert tool.records()[0]["config"][0]["input"] == "random"
    assert {cell["input"] for cell in tool.cells()} == {"random"}


def test_a_network_that_takes_images_is_fed_with_them_and_nothing_is_said(tool):
    write_small(tool.folder / "image.onnx", shape=["N", 3, 8, 8])

    done = tool.run("sweep", "--model", "image.onnx", "--batch", "1", *QUICK, "--output", "out.jsonl")

    assert "images" not in done.stderr
    assert {cell["input"] for cell in tool.cells()} == {"images"}


def test_a_network_with_a_table_of_one_row_is_told_of_the_input_that_fits_it(tool):
    node = helper.make_node("Gather", ["table", "x"], ["y"])
    constants = {"table": np.ones((1, 8), np.float32)}
    write_small(tool.folder / "types.onnx", shape=["N", 4], node=node, elem_type=TensorProto.INT64, constants=constants)
    command = ("sweep", "--model", "types.onnx", "--batch", "1", *QUICK)

    refused = tool.run(*command, "--output", "first.jsonl", check_code=3)
    tool.run(*command, "--input", "zeros", "--output", "second.jsonl")

    assert "use --input zeros" in refused.stderr
    assert {cell["status"] for cell in tool.cells("second.jsonl")} <= {"measured", "imprecise"}


def test_the_accuracy_of_a_network_of_one_batch_is_asked_at_that(tool):
    write_small(tool.folder / "four.onnx", shape=[4, 3, 8, 8])

    done = tool.run("accuracy", "--model", "four.onnx", "--dataset", "none", check_code=2)

    assert "has a fixed batch of 4: measured at batch 4" in done.stderr
    assert "at batch 4 only" not in done.stderr
