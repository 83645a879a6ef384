"""What every backend promises of an engine: lanes of any batch, the same outputs on each, nothing left behind."""

from __future__ import annotations

import gc
import threading

import numpy as np
import pytest
import trio

from asyncbench.errors import LaneError


class CancelAfterSteps(trio.abc.Instrument):
    """Cancels a scope after so many task steps of the whole run."""

    def __init__(self, scope, steps):
        self.scope = scope
        self.left = steps

    def after_task_step(self, task):
        del task
        self.left -= 1
        if self.left == 0:
            self.scope.cancel()


async def infer_on_all(lanes):
    async with trio.open_nursery() as nursery:
        for lane in lanes:
            nursery.start_soon(lane.infer)


def assert_equal_outputs(outputs, wanted):
    assert outputs.keys() == wanted.keys()
    for name, array in outputs.items():
        assert array.dtype == wanted[name].dtype
        np.testing.assert_allclose(array, wanted[name], rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("batch", [1, 2, 4])
async def test_every_lane_gives_the_reference_outputs(engine, subject, batch):
    inputs = subject.inputs(batch, 3)

    async with engine.open_lanes(batch=batch, count=3, inputs=inputs) as lanes:
        await infer_on_all(lanes)
        outputs = [lane.read_outputs() for lane in lanes]

    assert_equal_outputs(outputs[0], subject.reference(inputs))
    for name, array in outputs[0].items():
        assert all(np.array_equal(other[name], array) for other in outputs)


async def test_lanes_of_different_batches_follow_each_other_on_one_engine(engine, subject):
    for batch in (4, 1, 2):
        inputs = subject.inputs(batch, batch)

        async with engine.open_lanes(batch=batch, count=2, inputs=inputs) as lanes:
            await infer_on_all(lanes)

            assert [lane.index for lane in lanes] == [0, 1]
            assert_equal_outputs(lanes[1].read_outputs(), subject.reference(inputs))


async def test_lanes_keep_their_own_inputs(engine, subject):
    inputs = subject.inputs(2, 5)
    wanted = subject.reference(inputs)

    async with engine.open_lanes(batch=2, count=1, inputs=inputs) as lanes:
        for array in inputs.values():
            array.fill(0)
        await lanes[0].infer()

        assert_equal_outputs(lanes[0].read_outputs(), wanted)


async def test_inputs_of_another_batch_are_refused(engine, subject):
    with pytest.raises(ValueError, match="the lane needs"):
        async with engine.open_lanes(batch=2, count=1, inputs=subject.inputs(1, 0)):
            pass


async def test_the_facts_describe_inputs_and_outputs_by_item(subject):
    inputs = subject.inputs(2, 0)
    outputs = subject.reference(inputs)

    async with subject.backend.open_engine(subject.request()) as engine:
        facts = engine.facts

    assert {spec.name: (2, *spec.item_shape) for spec in facts.inputs} == {
        name: array.shape for name, array in inputs.items()
    }
    assert {spec.name: (2, *spec.item_shape) for spec in facts.outputs} == {
        name: array.shape for name, array in outputs.items()
    }
    assert facts.backend == subject.backend.name
    assert len(facts.engine_hash) == 64


async def test_more_lanes_and_larger_batches_are_forecast_to_take_more(subject):
    async with subject.backend.open_engine(subject.request()) as engine:
        small, wide, tall = (engine.forecast(batch=b, lanes=c) for b, c in ((1, 1), (1, 4), (4, 1)))

    assert 0 < small.device_bytes + small.host_bytes < wide.device_bytes + wide.host_bytes
    assert small.device_bytes + small.host_bytes < tall.device_bytes + tall.host_bytes


async def test_an_error_of_the_body_comes_out_as_it_is_and_the_engine_lives_on(engine, subject):
    inputs = subject.inputs(1, 0)

    async def fail():
        async with engine.open_lanes(batch=1, count=2, inputs=inputs) as lanes:
            lanes[0].give_credits(100)
            raise LaneError("of the body")

    with pytest.raises(LaneError, match="of the body"):
        await fail()

    async with engine.open_lanes(batch=1, count=1, inputs=inputs) as lanes:
        assert (await lanes[0].infer()).service_ns >= 0


async def test_leaving_drains_what_is_in_flight(engine, subject):
    async with engine.open_lanes(batch=1, count=2, inputs=subject.inputs(1, 0)) as lanes:
        for lane in lanes:
            lane.give_credits(lane.max_credits)

    assert len(lanes) == 2
    for lane in lanes:
        assert lane.take_credits_back() == 0
        await lane.wait_idle()


async def test_cells_leave_no_threads_and_no_tasks_behind(engine, subject):
    inputs = subject.inputs(1, 0)

    async def run_cell():
        async with engine.open_lanes(batch=1, count=4, inputs=inputs) as lanes:
            await infer_on_all(lanes)

    await run_cell()
    tasks = trio.lowlevel.current_statistics().tasks_living
    threads = threading.active_count()
    for _ in range(20):
        await run_cell()

    assert trio.lowlevel.current_statistics().tasks_living == tasks
    # Trio keeps idle threads for the next cell: it may have more of them than are used, but not more each time.
    assert threading.active_count() <= threads + 1


async def test_buffers_of_a_closed_cell_are_freed(engine, subject):
    def arrays_of_four():
        gc.collect()
        return [item for item in gc.get_objects() if isinstance(item, np.ndarray) and item.shape[:1] == (4,)]

    of_others = list(map(id, arrays_of_four()))
    async with engine.open_lanes(batch=4, count=4, inputs=subject.inputs(4, 0)) as lanes:
        await infer_on_all(lanes)

    assert [array for array in arrays_of_four() if id(array) not in of_others] == []
    assert len(lanes) == 4


@pytest.mark.parametrize("driver", ["infer", "credits"])
async def test_a_cell_that_is_cancelled_at_any_step_leaves_nothing_behind(engine, subject, driver):
    inputs = subject.inputs(1, 0)
    tasks = trio.lowlevel.current_statistics().tasks_living
    ran_to_the_end = False

    for steps in range(1, 400):
        with trio.CancelScope() as scope:
            instrument = CancelAfterSteps(scope, steps)
            trio.lowlevel.add_instrument(instrument)
            async with engine.open_lanes(batch=1, count=2, inputs=inputs) as lanes:
                for _ in range(3):
                    if driver == "infer":
                        await infer_on_all(lanes)
                    else:
                        lanes[0].give_credits(5)
                        await lanes[0].wait_completions()
        trio.lowlevel.remove_instrument(instrument)
        assert trio.lowlevel.current_statistics().tasks_living == tasks
        ran_to_the_end = not scope.cancel_called
        if ran_to_the_end:
            break

    assert ran_to_the_end
    async with engine.open_lanes(batch=1, count=1, inputs=inputs) as lanes:
        await lanes[0].infer()
        assert_equal_outputs(lanes[0].read_outputs(), subject.reference(inputs))


async def test_an_empty_lane_obeys_credits_like_any_other(engine):
    async with engine.open_empty_lane() as lane:
        lane.give_credits(100)
        ended = 0
        while ended < 100:
            ended += len(await lane.wait_completions())

        assert ended == 100
        assert (await lane.infer()).service_ns >= 0
