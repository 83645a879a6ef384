from __future__ import annotations

from functools import partial

import numpy as np
import pytest
import structlog
import trio

from asyncbench.backends.draining import DRAIN_LIMIT_S
from asyncbench.backends.simulated.backend import INPUT
from asyncbench.errors import DeviceLostError, DoesNotFitError, LaneError
from asyncbench.testing import ones_for, simulated_engine, simulated_lanes

DEVICE = {"service": {"median": "1ms"}, "slots": 4}

open_engine = partial(simulated_engine, **DEVICE)
open_lanes = partial(simulated_lanes, **DEVICE)


def inputs_of(batch=1):
    return ones_for([INPUT], batch)


async def count_completions(lanes, during_s):
    """Return completions over all lanes, with credits that never run out."""
    ended = 0

    async def drive(lane):
        nonlocal ended
        lane.give_credits(lane.max_credits)
        while True:
            count = len(await lane.wait_completions())
            ended += count
            lane.give_credits(count)

    with trio.move_on_after(during_s):
        async with trio.open_nursery() as nursery:
            for lane in lanes:
                nursery.start_soon(drive, lane)
    return ended + sum(len(lane.completions_nowait()) for lane in lanes)


async def test_an_inference_takes_its_service_time_on_the_clock(autojump_clock):
    async with open_lanes(1) as (lane,):
        stamps = await lane.infer()

        assert stamps.service_ns == 1_000_000
        assert trio.current_time() == pytest.approx(0.001)


async def test_lanes_beyond_the_slots_wait_for_each_other(autojump_clock):
    async with open_lanes(3, slots=2) as lanes:
        for lane in lanes:
            lane.give_credits(2)
        await trio.sleep(1)

        stamps = [lane.completions_nowait().completed_at_ns.tolist() for lane in lanes]

    assert stamps == [[1_000_000, 2_000_000], [1_000_000, 3_000_000], [2_000_000, 3_000_000]]


async def test_a_lane_with_one_credit_wakes_its_task_at_the_very_instant(autojump_clock):
    async with open_lanes(1) as (lane,):
        lane.give_credits(1)

        completed_at_ns = (await lane.wait_completions()).completed_at_ns

        assert completed_at_ns.tolist() == [round(trio.current_time() * 1e9)]


async def test_a_lane_with_many_credits_hands_completions_over_in_the_lot(autojump_clock):
    async with open_lanes(1) as (lane,):
        lane.give_credits(100)

        assert len(await lane.wait_completions()) == 25


async def test_a_lane_with_credits_leaves_no_gap_however_late_it_is_looked_at(autojump_clock):
    async with open_lanes(1) as (lane,):
        lane.give_credits(100)
        await trio.sleep(3)

        taken = lane.completions_nowait()
        assert np.array_equal(taken.issued_at_ns[1:], taken.completed_at_ns[:-1])
        assert taken.completed_at_ns[-1] == 100_000_000


async def test_taking_credits_back_wakes_a_task_that_waits_for_many(autojump_clock):
    ended = []

    async def wait(lane):
        ended.append(len(await lane.wait_completions()))

    async with open_lanes(1) as (lane,), trio.open_nursery() as nursery:
        lane.give_credits(100)
        nursery.start_soon(wait, lane)
        await trio.sleep(0.0015)
        lane.take_credits_back()

    assert ended == [1]


async def test_a_cell_runs_the_same_way_twice(autojump_clock):
    async def stamps():
        spec = {"service": {"kind": "lognormal", "median": "1ms"}, "slots": 2, "seed": 5}
        async with open_lanes(4, **spec) as lanes:
            start_ns = round(trio.current_time() * 1e9)
            for lane in lanes:
                lane.give_credits(50)
            await trio.sleep(10)
            return [(lane.completions_nowait().completed_at_ns - start_ns).tolist() for lane in lanes]

    assert await stamps() == await stamps()


async def test_memory_is_given_to_the_engine_and_to_lanes_and_comes_back(autojump_clock):
    spec = {"memory": "100B", "engine_bytes": "10B", "lane_bytes": "20B", "item_bytes": "5B"}
    async with open_engine(**spec) as engine:
        assert engine.forecast(batch=2, lanes=3).device_bytes == 90
        async with engine.open_lanes(batch=2, count=3, inputs=inputs_of(2)):
            with pytest.raises(DoesNotFitError) as refusal:
                await engine.open_lanes(batch=1, count=1, inputs=inputs_of()).__aenter__()
        async with engine.open_lanes(batch=2, count=3, inputs=inputs_of(2)) as lanes:
            assert len(lanes) == 3

    assert refusal.value.facts == {"requested_bytes": 25, "available_bytes": 0}


async def test_an_engine_beyond_the_memory_does_not_fit(autojump_clock):
    with pytest.raises(DoesNotFitError, match="the engine needs 10 B"):
        await open_engine(memory="9B", engine_bytes="10B").__aenter__()


async def test_an_error_stops_its_lane_after_what_had_ended_and_no_other_lane(autojump_clock):
    async with open_lanes(2, faults=[{"at": 4, "kind": "error"}]) as lanes:
        for lane in lanes:
            lane.give_credits(10)
        await trio.sleep(1)

        assert len(lanes[0].completions_nowait()) == 2
        with pytest.raises(LaneError, match="lane 0"):
            await lanes[0].wait_completions()
        assert len(lanes[1].completions_nowait()) == 10


async def test_a_lost_device_fails_the_lanes_and_the_next_cells(autojump_clock):
    async with open_engine(faults=[{"at": 0, "kind": "sticky"}]) as engine:
        async with engine.open_lanes(batch=1, count=1, inputs=inputs_of()) as (lane,):
            with pytest.raises(DeviceLostError):
                await lane.infer()

        with pytest.raises(DeviceLostError):
            await engine.open_lanes(batch=1, count=1, inputs=inputs_of()).__aenter__()


async def test_a_hanging_lane_is_abandoned_after_the_drain_limit_and_its_memory_stays_taken(autojump_clock):
    spec = {"memory": "100B", "engine_bytes": "0B", "lane_bytes": "40B", "item_bytes": "0B"}
    async with open_engine(faults=[{"at": 0, "kind": "hang"}], **spec) as engine:
        with structlog.testing.capture_logs() as events:
            async with engine.open_lanes(batch=1, count=2, inputs=inputs_of()) as lanes:
                for lane in lanes:
                    lane.give_credits(5)

        assert trio.current_time() == pytest.approx(DRAIN_LIMIT_S)
        assert [event["lane"] for event in events] == [0]
        with pytest.raises(LaneError, match="was abandoned"):
            await lanes[0].wait_completions()
        with pytest.raises(DoesNotFitError, match="60 B left"):
            await engine.open_lanes(batch=1, count=2, inputs=inputs_of()).__aenter__()


async def test_outputs_turn_wrong_on_one_lane_from_one_inference_on(autojump_clock):
    async with open_lanes(2, wrong_outputs_from=2, wrong_outputs_lane=1) as lanes:
        right = []
        for _ in range(3):
            for lane in lanes:
                await lane.infer()
            right.append(np.array_equal(lanes[0].read_outputs()["output"], lanes[1].read_outputs()["output"]))

    assert right == [True, True, False]


async def test_outputs_differ_when_any_input_does(autojump_clock):
    async with open_engine() as engine:
        outputs = []
        for position in (0, 1):
            inputs = inputs_of()
            inputs["input"][0, 0, 0, position] = 100
            async with engine.open_lanes(batch=1, count=1, inputs=inputs) as (lane,):
                outputs.append(lane.read_outputs()["output"])

    assert not np.array_equal(*outputs)


async def test_time_passes_in_a_loop_of_empty_inferences(autojump_clock):
    async with open_engine() as engine, engine.open_empty_lane() as lane:
        for _ in range(10):
            await lane.infer()

        assert trio.current_time() == pytest.approx(10e-6)


@pytest.mark.parametrize(("lanes", "per_s"), [(1, 1000), (4, 4000), (8, 4000)])
async def test_throughput_grows_with_lanes_until_the_slots_are_full(autojump_clock, lanes, per_s):
    async with open_lanes(lanes, slots=4) as opened:
        assert await count_completions(opened, during_s=1) == per_s
