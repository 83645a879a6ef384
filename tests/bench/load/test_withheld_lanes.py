"""More workers than lanes, and lanes that are withheld for a while: nothing lost, nothing started where it must not."""

from __future__ import annotations

from contextlib import asynccontextmanager
from functools import partial
from itertools import pairwise

import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st

from asyncbench.backends.simulated.lane import trio_now_ns
from asyncbench.bench.load.closed_loop import ClosedLoop
from asyncbench.errors import DeviceLostError, LaneError
from asyncbench.measurement.queueing import QueueWaitEstimator
from asyncbench.sweep.cell import Driver
from asyncbench.testing import (
    SeenCompletions,
    ones_for,
    open_lane_bytes,
    run_on_mock_clock,
    simulated_engine,
    simulated_lanes,
)

SERVICE_S = 0.002


class CountedLane:
    """A lane that counts what was granted to it."""

    def __init__(self, lane):
        self.granted = 0
        self._lane = lane

    def __getattr__(self, name):
        return getattr(self._lane, name)

    def give_credits(self, count):
        self._lane.give_credits(count)
        self.granted += count

    def take_credits_back(self):
        taken_back = self._lane.take_credits_back()
        self.granted -= taken_back
        return taken_back

    async def infer(self):
        self.granted += 1
        return await self._lane.infer()


@asynccontextmanager
async def counted_lanes(count, **device):
    """Open lanes; the device has all its memory again afterwards."""
    async with simulated_engine(seed=1, **device) as engine:
        try:
            async with engine.open_lanes(batch=1, count=count, inputs=ones_for(engine.facts.inputs, 1)) as lanes:
                yield [CountedLane(lane) for lane in lanes]
        finally:
            with trio.CancelScope(shield=True):
                assert await open_lane_bytes(engine) == 0


def granted(lanes):
    return sum(lane.granted for lane in lanes)


async def withhold(loop, lanes, index):
    """Withhold a lane as the governor does: freeing its memory is refused while anything of it is outstanding."""
    await loop.withhold(index)
    await lanes[index].free_memory()


async def resume(loop, lanes, index):
    await lanes[index].take_memory()
    loop.resume(index)


WAYS = [
    pytest.param(Driver.PUMP, 4, 4, id="pump"),
    pytest.param(Driver.AWAIT, 4, 4, id="await"),
    pytest.param(Driver.PUMP, 3, 8, id="pump, shared"),
    pytest.param(Driver.AWAIT, 3, 8, id="await, shared"),
]
each_way = pytest.mark.parametrize(("driver", "count", "concurrency"), WAYS)


@each_way
async def test_all_lanes_are_busy_all_the_time(driver, count, concurrency, autojump_clock):
    seen = SeenCompletions()

    async with counted_lanes(count) as lanes:
        await ClosedLoop(lanes, concurrency=concurrency, driver=driver, record=seen).run(partial(trio.sleep, 1))

    assert 500 * count <= seen.n <= 501 * count


async def test_workers_that_share_lanes_get_them_in_turn(autojump_clock):
    seen = SeenCompletions()

    async with counted_lanes(3, service={"kind": "lognormal", "median": "2ms"}) as lanes:
        await ClosedLoop(lanes, concurrency=7, driver=Driver.AWAIT, record=seen).run(partial(trio.sleep, 1))

    turns = [  # the issue of each inference, and the completion of the worker's one before it
        (following[0], done[1]) for pairs in seen.stamps.values() for done, following in pairwise(pairs)
    ]
    wanted = [wanted_at_ns for _, wanted_at_ns in sorted(turns)]
    assert len(seen.stamps) == 7
    assert wanted == sorted(wanted)


async def test_waits_worked_out_from_stamps_are_those_that_the_workers_saw(autojump_clock):
    seen, meter = SeenCompletions(), QueueWaitEstimator(workers=7)
    meter.open(0)

    def record(done, source):
        seen(done, source)
        meter.record(done, source)

    async with counted_lanes(3, service={"kind": "lognormal", "median": "2ms"}) as lanes:
        loop = ClosedLoop(lanes, concurrency=7, driver=Driver.AWAIT, record=record)

        async def look():
            for _ in range(20):
                await trio.sleep(0.013)
                now_ns = trio_now_ns()
                loop.flush()
                meter.settle(now_ns, busy=loop.busy())

        meter.start(trio_now_ns())
        started_at_ns = trio_now_ns()
        await loop.run(look)
        meter.settle(trio_now_ns(), busy=loop.busy())

    waits = []
    for pairs in seen.stamps.values():
        wanted_at_ns = started_at_ns
        for issued_at_ns, completed_at_ns in pairs:
            waits.append(issued_at_ns - wanted_at_ns)
            wanted_at_ns = completed_at_ns
    assert meter.wait.count == meter.response.count == len(waits) == seen.n
    assert (meter.wait.total_ns, meter.wait.max_ns) == (sum(waits), max(waits))


async def test_pumped_lanes_serve_the_same_queue_as_workers_that_await(autojump_clock):
    means_ns = {}
    for driver in Driver:
        meter = QueueWaitEstimator(workers=6)
        meter.open(0)

        async with counted_lanes(2, service={"kind": "lognormal", "median": "2ms"}) as lanes:
            meter.start(trio_now_ns())
            await ClosedLoop(lanes, concurrency=6, driver=driver, record=meter.record).run(partial(trio.sleep, 3))
            meter.settle(trio_now_ns(), busy=())
        means_ns[driver] = meter.wait.mean_ns

    assert means_ns[Driver.PUMP] == pytest.approx(means_ns[Driver.AWAIT], rel=0.03)
    assert means_ns[Driver.PUMP] == pytest.approx(2 * 2.06e6, rel=0.05)


@each_way
async def test_a_failed_inference_ends_a_shared_loop_with_the_lanes_own_error(
    driver, count, concurrency, autojump_clock
):
    async with counted_lanes(count, faults=[{"at": 20, "kind": "error"}]) as lanes:
        loop = ClosedLoop(lanes, concurrency=concurrency, driver=driver, record=SeenCompletions())
        with pytest.raises(LaneError):
            await loop.run(partial(trio.sleep, 10))


async def test_of_workers_that_share_lanes_the_one_on_a_hanging_lane_is_given_up(autojump_clock):
    async with simulated_lanes(3, faults=[{"at": 20, "kind": "hang"}]) as lanes:  # the one that hangs keeps its memory
        loop = ClosedLoop(lanes, concurrency=8, driver=Driver.AWAIT, record=SeenCompletions())
        with pytest.raises(DeviceLostError, match="1 of 8 workers did not finish"):
            await loop.run(partial(trio.sleep, 1))


@each_way
async def test_a_withheld_lane_ends_what_it_had_started_soon_and_starts_nothing_more(
    driver, count, concurrency, autojump_clock
):
    seen = SeenCompletions()

    async with counted_lanes(count) as lanes:
        loop = ClosedLoop(lanes, concurrency=concurrency, driver=driver, record=seen)

        async def withhold_one():
            await trio.sleep(0.1)
            before_s = trio.current_time()
            await withhold(loop, lanes, 0)
            # An inference, and the time between two looks at a pumped lane.
            assert trio.current_time() - before_s <= SERVICE_S + 0.021
            at_withholding = lanes[0].granted
            await trio.sleep(0.5)
            assert lanes[0].granted == at_withholding

        await loop.run(withhold_one)
        assert seen.n == granted(lanes)


@each_way
async def test_what_a_lane_had_completed_is_recorded_once_it_is_withheld(driver, count, concurrency, autojump_clock):
    seen = SeenCompletions()

    async with counted_lanes(count) as lanes:
        loop = ClosedLoop(lanes, concurrency=concurrency, driver=driver, record=seen)

        async def withhold_all():
            await trio.sleep(0.1)
            for index in range(count):
                await withhold(loop, lanes, index)
            assert seen.n == granted(lanes) > 0
            assert loop.busy() == []

        await loop.run(withhold_all)


@each_way
async def test_a_resumed_lane_is_as_busy_as_before(driver, count, concurrency, autojump_clock):
    seen, resumed_at_s = SeenCompletions(), []

    async with counted_lanes(count) as lanes:
        loop = ClosedLoop(lanes, concurrency=concurrency, driver=driver, record=seen)

        async def withhold_two_for_a_while():
            await trio.sleep(0.5)
            await withhold(loop, lanes, 0)
            await withhold(loop, lanes, 1)
            await trio.sleep(0.5)
            await resume(loop, lanes, 1)
            await resume(loop, lanes, 0)
            resumed_at_s.append(trio.current_time())
            await trio.sleep(1)

        await loop.run(withhold_two_for_a_while)

    (at_s,) = resumed_at_s
    assert seen.issued_between(at_s - 0.4, at_s) == pytest.approx(200 * (count - 2), abs=count)
    assert seen.issued_between(at_s, at_s + 0.9) == pytest.approx(450 * count, abs=2 * count)


@each_way
async def test_lanes_withheld_from_the_beginning_run_only_after_they_were_resumed(
    driver, count, concurrency, autojump_clock
):
    seen = SeenCompletions()

    async with counted_lanes(count) as lanes:
        for index in range(count):
            await lanes[index].free_memory()
        loop = ClosedLoop(lanes, concurrency=concurrency, driver=driver, record=seen, withheld=range(count))

        async def resume_all():
            await trio.sleep(1)
            loop.flush()
            assert seen.n == granted(lanes) == 0
            for index in range(count):
                await resume(loop, lanes, index)
            await trio.sleep(1)

        await loop.run(resume_all)

    assert seen.n == pytest.approx(500 * count, abs=count)


@each_way
async def test_a_loop_whose_body_ends_while_lanes_are_withheld_ends(driver, count, concurrency, autojump_clock):
    async with counted_lanes(count) as lanes:
        loop = ClosedLoop(lanes, concurrency=concurrency, driver=driver, record=SeenCompletions())

        async def withhold_all():
            await trio.sleep(0.1)
            for index in range(count):
                await withhold(loop, lanes, index)

        with trio.fail_after(1):
            await loop.run(withhold_all)


@st.composite
def schedules(draw):
    """Return a way to drive lanes and what is done to them: (pause in µs, lane)."""
    driver, count, concurrency = draw(st.sampled_from([way.values for way in WAYS]))
    steps = st.tuples(st.integers(0, 60_000), st.integers(0, count - 1))
    return driver, count, concurrency, draw(st.lists(steps, max_size=14))


async def toggle_in_turn(loop, lanes, steps):
    """Withhold each lane that runs and resume each that does not, as the steps say."""
    withheld = set()
    for pause_us, index in steps:
        await trio.sleep(pause_us / 1e6)
        if index in withheld:
            await resume(loop, lanes, index)
            withheld.remove(index)
        else:
            await withhold(loop, lanes, index)
            withheld.add(index)
    return withheld


@settings(max_examples=settings.default.max_examples * 3 // 5)
@given(schedules(), st.integers(0, 900_000))
def test_nothing_is_lost_when_the_body_ends_at_any_instant(schedule, body_us):
    driver, count, concurrency, steps = schedule
    seen = SeenCompletions()

    async def main():
        async with counted_lanes(count) as lanes:
            loop = ClosedLoop(lanes, concurrency=concurrency, driver=driver, record=seen)

            async def toggle():
                with trio.move_on_after(body_us / 1e6):
                    await toggle_in_turn(loop, lanes, steps)
                    await trio.sleep_forever()

            with trio.fail_after(2):
                await loop.run(toggle)
            assert seen.n == granted(lanes)

    run_on_mock_clock(main)


@settings(max_examples=settings.default.max_examples * 3 // 5)
@given(schedules(), st.integers(0, 900_000))
def test_cancelling_at_any_instant_leaves_no_task_and_no_memory_behind(schedule, cancelled_us):
    driver, count, concurrency, steps = schedule

    async def main():
        async with counted_lanes(count) as lanes:
            loop = ClosedLoop(lanes, concurrency=concurrency, driver=driver, record=SeenCompletions())

            async def toggle():
                await toggle_in_turn(loop, lanes, steps)
                await trio.sleep_forever()

            tasks_before = trio.lowlevel.current_statistics().tasks_living
            with trio.move_on_after(cancelled_us / 1e6) as scope:
                await loop.run(toggle)
            assert scope.cancelled_caught
            assert trio.lowlevel.current_statistics().tasks_living == tasks_before

    run_on_mock_clock(main)  # the lanes look at the memory when they are closed
