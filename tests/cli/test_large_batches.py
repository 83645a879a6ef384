"""A batch that does not fit costs its own cells, and nothing of those beside it."""

import pytest
from onnx import helper

from asyncbench.testing import write_network

FLOATS = 65_536  # 256 KiB an item
BUDGET = "100MiB"


@pytest.fixture
def relu(tool):
    nodes, shape = [helper.make_node("Relu", ["x"], ["y"])], ["N", FLOATS]
    write_network(tool.folder / "relu.onnx", nodes, {"x": shape}, {"y": shape})
    return ("--model", "relu.onnx", "--backend", "onnxruntime", "--input", "random")


def statuses(tool, relu, batches):
    few = ("--concurrency", 1, "--iterations", 2, "--host-memory-budget", BUDGET, "--output", f"{batches}.jsonl")
    tool.run("sweep", *relu, "--batch", batches, *few)
    cells = tool.cells(f"{batches}.jsonl")
    return {cell["batch"]: cell["status"] == "does_not_fit" for cell in cells}


@pytest.mark.slow
def test_a_batch_is_refused_alone(tool, relu):
    assert statuses(tool, relu, "1,16") == {1: False, 16: False}
    assert statuses(tool, relu, "1,16,700") == {1: False, 16: False, 700: True}


@pytest.mark.slow
def test_a_batch_that_no_machine_has_memory_for_is_a_result(tool, relu):
    assert statuses(tool, relu, "100000,1") == {100_000: True, 1: False}


@pytest.mark.slow
def test_the_prediction_has_the_inputs_in_it(tool, relu):
    statuses(tool, relu, "16")

    (cell,) = tool.cells("16.jsonl")
    assert cell["memory"]["predicted_host_bytes"] >= 16 * 3 * FLOATS * 4  # the inputs, and a lane's copy and outputs
    assert cell["memory"]["used_host_bytes"] >= 16 * 3 * FLOATS * 4
