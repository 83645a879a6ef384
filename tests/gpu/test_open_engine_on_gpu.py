"""Lanes of the library on TensorRT: an application's arrays in, the network's answers out."""

from __future__ import annotations

import os

import numpy as np
import pytest
import trio
from onnx import TensorProto, helper

import asyncbench

pytestmark = [pytest.mark.gpu, pytest.mark.usefixtures("gpu")]


@pytest.fixture
def network(tmp_path, monkeypatch):
    """A file of `y = x + x` over items of 2 x 8."""
    monkeypatch.setenv("ASYNCBENCH_CACHE", str(tmp_path / "cache"))
    graph = helper.make_graph(
        [helper.make_node("Add", ["x", "x"], ["y"])],
        "double",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 2, 8])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", 2, 8])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    path = tmp_path / "double.onnx"
    path.write_bytes(model.SerializeToString())
    return path


# Where the machine's TensorRT has no cuBLAS and cuDNN beside it: names of the tactic sources that may be used.
SOURCES = os.environ.get("ASYNCBENCH_TACTIC_SOURCES")
OPTIONS = {"tensorrt": {"tactic_sources": SOURCES}} if SOURCES else {}


async def test_each_lane_answers_for_its_own_arrays_also_after_a_cancelled_inference(network):
    arrays = [np.full((4, 2, 8), value, np.float32) for value in range(3)]
    answers = {}

    async def ask(lane):
        with trio.CancelScope() as scope:
            scope.cancel()
            await lane.infer(arrays[0])
        answers[lane.index] = await lane.infer(arrays[lane.index])

    async with (
        asyncbench.open_engine(network, backend="tensorrt", batches=[4], concurrency=3, **OPTIONS) as engine,
        engine.open_lanes(batch=4, count=3) as lanes,
        trio.open_nursery() as nursery,
    ):
        for lane in lanes:
            nursery.start_soon(ask, lane)

    for index, outputs in answers.items():
        np.testing.assert_array_equal(outputs["y"], 2 * arrays[index])
        assert outputs.service_ns > 0
