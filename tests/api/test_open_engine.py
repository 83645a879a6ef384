"""Lanes under an application's own load: arrays in, arrays and stamps out, the same on every backend."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest
import trio
from onnx import helper

import asyncbench
from asyncbench import BadInputError
from asyncbench.testing import write_network

BACKENDS = ["simulated", "onnxruntime"]


@pytest.fixture
def network(tmp_path):
    """A file of `y = x + x` over items of 3 x 224 x 224, the input of a simulated device as well."""
    shape = ["N", 3, 224, 224]
    nodes = [helper.make_node("Add", ["input", "input"], ["output"])]
    return write_network(tmp_path / "double.onnx", nodes, {"input": shape}, {"output": shape})


@pytest.fixture
def two_inputs(tmp_path):
    nodes, shape = [helper.make_node("Sub", ["a", "b"], ["c"])], ["N", 2]
    return write_network(tmp_path / "difference.onnx", nodes, {"a": shape, "b": shape}, {"c": shape})


def noise(batch, seed=0):
    return np.random.default_rng(seed).standard_normal((batch, 3, 224, 224)).astype(np.float32)


@pytest.fixture(params=BACKENDS)
async def engine(request, network):
    options = {"backend": request.param, "batches": [1, 2], "concurrency": 3}
    async with asyncbench.open_engine(network, **options) as engine:
        yield engine


async def test_each_lane_answers_for_the_inputs_that_it_was_given(engine):
    async with engine.open_lanes(batch=2, count=3) as lanes:
        answers = {}

        async def ask(lane, seed):
            answers[seed] = await lane.infer(noise(2, seed))

        async with trio.open_nursery() as nursery:
            for lane in lanes:
                nursery.start_soon(ask, lane, lane.index)
        again = await lanes[0].infer(noise(2, 1))

    (name,) = again
    np.testing.assert_array_equal(again[name], answers[1][name])
    assert not np.array_equal(answers[0][name], answers[1][name])
    assert len(again[name]) == 2


async def test_stamps_are_on_the_clock_of_the_engine(engine):
    async with engine.open_lanes() as lanes:
        before_ns = engine.now_ns()
        outputs = await lanes[0].infer(noise(1))

    assert before_ns <= outputs.issued_at_ns <= outputs.completed_at_ns <= engine.now_ns()
    assert outputs.service_ns == outputs.completed_at_ns - outputs.issued_at_ns


async def test_outputs_belong_to_the_caller(engine):
    async with engine.open_lanes() as lanes:
        first = await lanes[0].infer(noise(1))
        (name,) = first
        kept = first[name].copy()
        await lanes[0].infer(noise(1, seed=7))

    np.testing.assert_array_equal(first[name], kept)


@pytest.mark.parametrize(
    ("inputs", "message", "remedy"),
    [
        (noise(1).astype(np.float64), "float64, the network takes float32", 'give array.astype("float32")'),
        (noise(2), "has the shape (2, 3, 224, 224), the lane takes (1, 3, 224, 224)", "give a whole batch"),
        ({"image": noise(1)}, "no input 'image'", "give 'input'"),
        ({}, "input 'input' is missing", "give 'input'"),
        ([0.0], "of type list", "give an array"),
    ],
)
async def test_inputs_that_do_not_fit_are_refused_and_the_lane_goes_on(engine, inputs, message, remedy):
    async with engine.open_lanes() as lanes:
        with pytest.raises(BadInputError) as refused:
            await lanes[0].infer(inputs)

        assert message in refused.value.message
        assert remedy in refused.value.remedy
        assert len(await lanes[0].infer(noise(1))) == 1


async def test_a_cancelled_inference_leaves_the_lane_to_the_next(engine):
    async with engine.open_lanes() as lanes:
        wanted = await lanes[0].infer(noise(1, seed=2))
        with trio.CancelScope() as scope:
            scope.cancel()
            await lanes[0].infer(noise(1, seed=1))
        outputs = await lanes[0].infer(noise(1, seed=2))

    assert scope.cancelled_caught
    (name,) = outputs
    np.testing.assert_array_equal(outputs[name], wanted[name])


async def test_two_tasks_on_one_lane_are_told_apart_from_one(engine):
    refusals = []

    async def ask(lane):
        try:
            await lane.infer(noise(1))
        except BadInputError as refused:
            refusals.append(refused)

    async with engine.open_lanes() as lanes, trio.open_nursery() as nursery:
        nursery.start_soon(ask, lanes[0])
        nursery.start_soon(ask, lanes[0])

    (refused,) = refusals
    assert refused.message == "lane 0 is used by two tasks at once"
    assert "a lane for each task" in refused.remedy


async def test_a_lane_is_closed_with_its_context(engine):
    async with engine.open_lanes() as lanes:
        pass

    with pytest.raises(BadInputError, match="lane 0 is closed"):
        await lanes[0].infer(noise(1))


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"batch": 3}, "opened for batches 1, 2"),
        ({"batch": True}, "opened for batches 1, 2, not True"),
        ({"count": 4}, "4 lanes"),
        ({"count": 0}, "0 lanes"),
        ({"count": 1.5}, "1.5 lanes were asked for"),
        ({"count": None}, "None lanes were asked for"),
    ],
)
async def test_lanes_that_the_engine_was_not_opened_for_are_refused(engine, asked, message):
    with pytest.raises(BadInputError, match=message):
        async with engine.open_lanes(**asked):
            pass


async def test_lanes_of_several_contexts_count_together(engine):
    async with engine.open_lanes(count=2), engine.open_lanes(count=np.int64(1)):
        with pytest.raises(BadInputError, match="1 lanes were asked for beside 3 that are open"):
            async with engine.open_lanes():
                pass

    async with engine.open_lanes(count=3) as lanes:
        assert len(lanes) == 3


async def test_a_closed_engine_opens_no_lanes(network):
    async with asyncbench.open_engine(network, backend="simulated") as engine:
        pass

    with pytest.raises(BadInputError, match="the engine is closed"):
        async with engine.open_lanes():
            pass


async def test_an_error_of_the_body_comes_out_as_it_is(engine):
    async def fail():
        async with engine.open_lanes() as lanes:
            await lanes[0].infer(noise(1))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()


async def test_several_inputs_are_given_by_name(two_inputs):
    a, b = np.ones((1, 2), np.float32), np.full((1, 2), 3, np.float32)

    async with asyncbench.open_engine(two_inputs, backend="onnxruntime") as engine, engine.open_lanes() as lanes:
        outputs = await lanes[0].infer({"b": b, "a": a})
        with pytest.raises(BadInputError, match="the network has 2 inputs"):
            await lanes[0].infer(a)

    np.testing.assert_array_equal(outputs["c"], [[-2, -2]])


@pytest.mark.parametrize(
    ("model", "options", "message"),
    [
        ("nowhere.onnx", {}, "nowhere.onnx"),
        ("resnet5", {}, "neither a built-in network nor a file"),
        ("mobilenet", {"bacthes": 1}, '"bacthes" is unknown'),
        ("mobilenet", {"precision": ["fp32", "fp16"]}, "one precision"),
        ("mobilenet", {"backend": "simulated", "simulated": {"slots": 0}}, "slots"),
        ("mobilenet", {"backend": "simulated", "depth": 4}, "--depth: only the tensorrt backend knows this"),
        ("mobilenet", {"backend": "simulated", "tensorrt": {"depth": 4}}, "--depth: only the tensorrt backend"),
        ("mobilenet", {"batches": None}, '"batch"'),
        (5, {}, "model is of type int"),
        (None, {}, "model is of type NoneType"),
    ],
)
async def test_what_cannot_be_opened_is_refused(model, options, message):
    with pytest.raises(BadInputError, match=message):
        async with asyncbench.open_engine(model, **options):
            pass


@pytest.mark.parametrize("batches", [2, "2", np.array([2]), range(2, 3)])
async def test_arguments_are_values_as_those_of_a_sweep(network, batches):
    options = {"backend": "onnxruntime", "intra_op_threads": np.int64(1), "concurrency": np.int64(1)}
    async with (
        asyncbench.open_engine(network, batches=batches, **options) as engine,
        engine.open_lanes(batch=2) as (lane,),
    ):
        outputs = await lane.infer(noise(2))

    assert outputs["output"].shape[0] == 2


def test_another_event_loop_is_told_what_to_call(network):
    async def enter():
        async with asyncbench.open_engine(network, backend="simulated"):
            pass

    with pytest.raises(BadInputError, match=r"no Trio is running: call it under trio\.run"):
        asyncio.run(enter())
