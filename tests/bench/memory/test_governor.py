"""Lanes that are taken away and given back while a cell runs, on a simulated device whose headroom is scripted."""

from __future__ import annotations

from contextlib import asynccontextmanager
from functools import partial
from itertools import pairwise

import pytest
import trio

from asyncbench.backends.simulated.lane import trio_now_ns
from asyncbench.bench.load.closed_loop import ClosedLoop
from asyncbench.bench.memory.admission_controller import MemoryPolicy
from asyncbench.bench.memory.governor import PERIOD_S, Governor
from asyncbench.clock import NS_PER_S
from asyncbench.errors import DeviceLostError
from asyncbench.memory.available import LimitedBy
from asyncbench.memory.forecast import MemoryForecast
from asyncbench.results.status import Status
from asyncbench.sweep.cell import Driver
from asyncbench.testing import (
    CellBench,
    MemoryHog,
    ScriptedHeadrooms,
    SeenCompletions,
    cell_policy,
    ones_for,
    open_lane_bytes,
    simulated_engine,
)

MIB = 1 << 20
LANE_BYTES = 20 * MIB  # 16 MiB a lane and 4 MiB an item
RESERVE_BYTES = 40 * MIB  # of which the governor keeps half
SETTLED_S = 1 + 3 * PERIOD_S

simulated = partial(simulated_engine, memory="1GiB")


@asynccontextmanager
async def simulated_lanes(count, **device):
    async with simulated(**device) as engine:
        async with engine.open_lanes(batch=1, count=count, inputs=ones_for(engine.facts.inputs, 1)) as lanes:
            yield engine, lanes


async def govern(play, *, lanes=4, driver=Driver.PUMP, concurrency=None, record=None, **device):
    """Run `play(memory, governor, loop, engine)` beside a governed loop; return the governor and what it said."""
    memory, said = ScriptedHeadrooms(free_bytes=1000 * MIB, reserve_bytes=RESERVE_BYTES), []
    async with simulated_lanes(lanes, **device) as (engine, opened):
        need = MemoryForecast(device_bytes=LANE_BYTES, host_bytes=LANE_BYTES)
        governor = Governor(memory.read, opened, lane_need=need, now_ns=trio_now_ns, on_change=said.append)
        record = record or SeenCompletions()
        loop = ClosedLoop(opened, concurrency=concurrency or lanes, driver=driver, record=record)

        async def body():
            async with trio.open_nursery() as nursery:
                nursery.start_soon(governor.run, loop)
                await play(memory, governor, loop, engine)
                nursery.cancel_scope.cancel()

        await loop.run(body)
    return governor, said


every_driver = pytest.mark.parametrize(
    ("driver", "concurrency"),
    [(Driver.PUMP, 4), (Driver.AWAIT, 4), (Driver.PUMP, 9), (Driver.AWAIT, 9)],
    ids=["pump", "await", "pump, shared", "await, shared"],
)


@every_driver
async def test_below_the_reserve_as_many_lanes_go_as_bring_it_back_and_the_device_has_their_memory(
    driver, concurrency, autojump_clock
):
    async def play(memory, governor, loop, engine):
        await trio.sleep(1)
        assert await open_lane_bytes(engine) == 4 * LANE_BYTES
        memory.device_bytes = 20 * MIB - 1 - LANE_BYTES  # a byte more than one lane is missing
        await trio.sleep(1.5 * PERIOD_S)
        memory.device_bytes = 20 * MIB
        await trio.sleep(1)
        assert await open_lane_bytes(engine) == 2 * LANE_BYTES
        assert governor.withheld == [3, 2]

    governor, _ = await govern(play, driver=driver, concurrency=concurrency)

    assert [(change.lanes, change.limited_by) for change in governor.changes] == [(2, LimitedBy.DEVICE)]


@every_driver
async def test_with_room_again_lanes_come_back_one_by_one_each_after_the_settle_time(
    driver, concurrency, autojump_clock
):
    async def play(memory, governor, loop, engine):
        memory.device_bytes = 20 * MIB - 2 * LANE_BYTES
        await trio.sleep(1.5 * PERIOD_S)
        memory.device_bytes = 500 * MIB
        await trio.sleep(2 * SETTLED_S)
        assert await open_lane_bytes(engine) == 4 * LANE_BYTES
        assert governor.withheld == []

    governor, said = await govern(play, driver=driver, concurrency=concurrency)

    assert [change.lanes for change in governor.changes] == [2, 3, 4]
    gaps_ns = [after.at_ns - before.at_ns for before, after in pairwise(governor.changes)]
    assert all(NS_PER_S <= gap_ns <= SETTLED_S * NS_PER_S for gap_ns in gaps_ns)
    assert said == [True, False, True]
    assert governor.withheld_ns() == pytest.approx(governor.changes[-1].at_ns - governor.changes[0].at_ns, abs=1e8)


async def test_what_completed_before_a_change_is_recorded_before_it_is_said(autojump_clock):
    recorded = []  # until which completion, and when

    def record(done, _stream):
        recorded.append((int(done.completed_at_ns[0]), trio_now_ns()))

    async def play(memory, governor, loop, engine):
        await trio.sleep(0.05)
        memory.device_bytes = 0
        await trio.sleep(1.4 * PERIOD_S)
        memory.device_bytes = 500 * MIB
        await trio.sleep(5 * SETTLED_S)

    governor, _ = await govern(play, driver=Driver.AWAIT, record=record)

    given_back_at_ns = governor.changes[-1].at_ns
    late = [at_ns for completed_at_ns, at_ns in recorded if completed_at_ns < given_back_at_ns - 1e7 < at_ns - 1e7]
    assert late == []
    assert given_back_at_ns in [at_ns for _, at_ns in recorded]


async def test_room_that_does_not_last_brings_no_lane_back(autojump_clock):
    async def play(memory, governor, loop, engine):
        memory.device_bytes = 0
        await trio.sleep(1.5 * PERIOD_S)
        for _ in range(5):
            memory.device_bytes = 500 * MIB
            await trio.sleep(0.8)
            memory.device_bytes = 20 * MIB
            await trio.sleep(0.2)

    governor, _ = await govern(play)

    assert len(governor.changes) == 1


async def test_of_two_memories_the_one_that_is_shorter_counts_and_is_named(autojump_clock):
    async def play(memory, governor, loop, engine):
        memory.host_bytes = 20 * MIB - LANE_BYTES
        await trio.sleep(1.5 * PERIOD_S)
        memory.host_bytes = 20 * MIB
        await trio.sleep(3)

    governor, _ = await govern(play)

    assert [(change.lanes, change.limited_by) for change in governor.changes] == [(3, LimitedBy.HOST)]


async def test_the_last_lane_stays_above_the_floor_and_goes_below_it(autojump_clock):
    async def play(memory, governor, loop, engine):
        memory.device_bytes = 6 * MIB
        await trio.sleep(1)
        assert len(governor.active) == 1
        memory.device_bytes = 1 * MIB
        await trio.sleep(1.5 * PERIOD_S)
        assert governor.active == []
        assert await open_lane_bytes(engine) == 0

    await govern(play)


async def test_memory_that_is_refused_leaves_the_lane_away_and_is_asked_for_again(autojump_clock):
    async def play(memory, governor, loop, engine):
        memory.device_bytes = 0
        await trio.sleep(1.5 * PERIOD_S)
        taken_away = len(governor.withheld)
        hog = MemoryHog(engine)
        hog.leave(LANE_BYTES - 1)
        memory.device_bytes = 500 * MIB  # as a reading that comes too late for what somebody else took
        await trio.sleep(5)
        assert len(governor.withheld) == taken_away
        hog.let_go()
        await trio.sleep((taken_away + 1) * SETTLED_S)
        assert governor.withheld == []

    await govern(play)


async def test_a_lane_that_comes_back_has_run_once_so_that_its_outputs_can_be_compared(autojump_clock):
    async def play(memory, governor, loop, engine):
        all_lanes = governor.active
        memory.device_bytes = 0
        await trio.sleep(1.5 * PERIOD_S)
        lanes = governor.withheld[:]
        infer, ran = all_lanes[lanes[-1]].infer, []

        async def note_and_infer():
            ran.append(True)
            return await infer()

        all_lanes[lanes[-1]].infer = note_and_infer
        memory.device_bytes = 500 * MIB
        await trio.sleep(SETTLED_S)
        assert len(governor.withheld) == len(lanes) - 1
        assert ran == [True]

    await govern(play)


async def test_a_lane_that_hangs_when_it_comes_back_is_an_error_and_no_hang(autojump_clock):
    async def play(memory, governor, loop, engine):
        all_lanes = governor.active
        memory.device_bytes = 1
        await trio.sleep(1.5 * PERIOD_S)
        all_lanes[governor.withheld[-1]].infer = trio.sleep_forever
        memory.device_bytes = 500 * MIB
        await trio.sleep(200)

    with pytest.raises(DeviceLostError, match="getting its memory back"):
        await govern(play)


@pytest.mark.parametrize("withheld_for_s", [0.005, 0.1005, 0.11, 0.125, 0.3])
async def test_a_governor_that_is_cancelled_knows_which_lanes_have_their_memory(withheld_for_s, autojump_clock):
    memory = ScriptedHeadrooms(free_bytes=0, reserve_bytes=RESERVE_BYTES)
    async with simulated_lanes(4, service={"median": "50ms"}) as (engine, lanes):
        need = MemoryForecast(device_bytes=LANE_BYTES, host_bytes=0)
        governor = Governor(memory.read, lanes, lane_need=need, now_ns=trio_now_ns, on_change=lambda _all_run: None)
        for _ in range(2):
            loop = ClosedLoop(
                lanes, concurrency=4, driver=Driver.PUMP, record=SeenCompletions(), withheld=governor.withheld
            )

            async def body(loop=loop):
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(governor.run, loop)
                    await trio.sleep(withheld_for_s)
                    nursery.cancel_scope.cancel()

            await loop.run(body)
            assert await open_lane_bytes(engine) == len(governor.active) * LANE_BYTES
            assert [lane.has_memory for lane in lanes] == [lane in governor.active for lane in lanes]
            assert bool(governor.changes) == bool(governor.withheld)


# Whole cells, over a real controller


async def run_cell(engine, policy, beside=None, *, concurrency=4, lanes=4, **limits):
    """Run a cell with `beside(hog)` beside it, and return its record."""
    hog, bench = MemoryHog(engine), CellBench(engine, policy, memory=MemoryPolicy(reserve_bytes=RESERVE_BYTES))
    beside = beside and partial(beside, hog)
    record = await bench.record(concurrency, max_lanes=lanes, beside=beside, **limits)
    hog.let_go()
    assert await open_lane_bytes(engine) == 0
    return record


async def test_a_hog_that_comes_and_goes_is_told_by_the_record_and_leaves_the_rest_as_it_was(autojump_clock):
    async def hog_twice(hog):
        for _ in range(2):
            await trio.sleep(3)
            hog.leave(5 * MIB)
            await trio.sleep(2)
            hog.let_go()
            await trio.sleep(5)

    # With three lanes at once an inference takes longer than with one: two slots.
    async with simulated(slots=2) as engine:
        record = await run_cell(engine, cell_policy(duration_ns=20 * NS_PER_S), hog_twice)

    memory, latency = record.memory, record.latency
    assert record.status is Status.MEASURED
    lanes = [change.lanes for change in memory.lane_changes]
    assert lanes == [3, 4, 3, 4]
    assert {change.limited_by for change in memory.lane_changes} == {"device"}
    times_ns = [change.at_ns for change in memory.lane_changes]
    away_ns = times_ns[1] - times_ns[0] + times_ns[3] - times_ns[2]
    assert memory.backpressure_ns == pytest.approx(away_ns, rel=0.05)
    assert [reason.code for reason in record.reasons].count("memory_pressure") == 1
    assert latency.service_undisturbed.n < latency.service.n
    # Four lanes on two slots take 4 ms, three 3 ms.
    assert latency.service_undisturbed.percentiles["p50"].value_ns == pytest.approx(4e6, rel=0.01)
    undisturbed_s = record.window_ns / NS_PER_S - away_ns / NS_PER_S
    assert latency.service_undisturbed.n == pytest.approx(1000 * undisturbed_s, rel=0.01)


async def test_without_pressure_nothing_is_said_of_it(autojump_clock):
    async with simulated() as engine:
        record = await run_cell(engine, cell_policy(duration_ns=5 * NS_PER_S))

    assert record.memory.lane_changes == []
    assert record.memory.backpressure_ns == 0
    assert record.latency.service_undisturbed is None
    assert not {"memory_pressure", "backpressure"} & {reason.code for reason in record.reasons}


async def test_a_cell_all_of_whose_lanes_are_withheld_for_longer_than_the_stall_limit_goes_on_afterwards(
    autojump_clock,
):
    async def hog_for_long(hog):
        await trio.sleep(3)
        while True:  # also what the lanes free
            hog.leave(0)
            await trio.sleep(PERIOD_S / 3)
            if trio.current_time() - started_s > 15:
                break
        hog.let_go()

    started_s = trio.current_time()
    async with simulated() as engine:
        record = await run_cell(engine, cell_policy(duration_ns=30 * NS_PER_S), hog_for_long)

    assert record.status is Status.MEASURED
    assert min(change.lanes for change in record.memory.lane_changes) == 0
    assert record.memory.lane_changes[-1].lanes == 4
    assert record.memory.backpressure_ns > 10 * NS_PER_S


async def hog_for_good(hog):
    await trio.sleep(1)
    while True:  # also what the lanes free
        hog.leave(0)
        await trio.sleep(PERIOD_S / 3)


@pytest.mark.parametrize("measured", [{"iterations": 10_000}, {"duration_ns": 5 * NS_PER_S}])
async def test_a_cell_that_memory_is_taken_from_for_good_does_not_fit(autojump_clock, measured):
    async with simulated() as engine:
        record = await run_cell(engine, cell_policy(**measured), hog_for_good, within_s=60)

    assert record.status is Status.MEASURED if "duration_ns" in measured else Status.DOES_NOT_FIT
    assert record.memory.lane_changes[-1].lanes == 0
    assert record.runner_ns_per_inference is None


async def test_a_cell_that_memory_is_taken_from_before_its_window_says_what_was_short(autojump_clock):
    policy = cell_policy(duration_ns=4 * NS_PER_S, warmup_ns=4 * NS_PER_S)
    async with simulated() as engine:
        record = await run_cell(engine, policy, hog_for_good)

    assert (record.status, record.n) == (Status.DOES_NOT_FIT, 0)
    assert [reason.code for reason in record.reasons] == ["memory", "memory_pressure"]
    assert record.facts == {"limited_by": "device", "requested_bytes": LANE_BYTES, "available_bytes": 0}
    assert record.memory.lane_changes[-1].lanes == 0
    assert record.memory.lane_changes[-1].at_ns < 0


async def test_a_cell_that_was_too_slow_for_its_window_is_not_said_to_have_had_no_memory(autojump_clock):
    async def hog_once(hog):
        await trio.sleep(1)
        hog.leave(5 * MIB)

    async with simulated(service={"median": "2s"}) as engine:
        record = await run_cell(engine, cell_policy(), hog_once)

    assert record.status is Status.INVALID
    assert record.reasons[0].code == "no_completions"


async def test_iterations_are_exact_also_where_lanes_were_withheld(autojump_clock):
    async def hog_once(hog):
        await trio.sleep(1)
        hog.leave(5 * MIB)
        await trio.sleep(1)
        hog.let_go()

    async with simulated() as engine:
        record = await run_cell(engine, cell_policy(iterations=10_000), hog_once)

    assert record.n == 10_000
    assert record.memory.lane_changes


async def test_a_cell_whose_lanes_were_starved_of_credits_is_not_measured_and_says_whose_figures_it_has(
    autojump_clock, monkeypatch
):
    monkeypatch.setattr("asyncbench.backends.simulated.lane.credits_at", lambda _service_ns, at_least: at_least // 256)
    async with simulated() as engine:
        record = await run_cell(engine, cell_policy(duration_ns=NS_PER_S))

    assert record.status is Status.IMPRECISE
    assert [reason.code for reason in record.reasons] == ["runner_bound"]
    assert record.runner_ns_per_inference > 1e6


@pytest.mark.parametrize("driver", list(Driver))
@pytest.mark.parametrize("warmup_ns", [None, 0])
async def test_of_shared_lanes_exactly_the_iterations_have_waits_and_responses(autojump_clock, driver, warmup_ns):
    policy = cell_policy(iterations=501, driver=driver, warmup_ns=warmup_ns)
    async with simulated(service={"kind": "constant", "median": "2ms"}) as engine:
        record = await run_cell(engine, policy, concurrency=8, lanes=3)

    latency = record.latency
    assert latency.wait.n == latency.response.n == latency.service.n == record.n == 501
    assert record.throughput_queries_s == pytest.approx(1500, rel=0.001)


async def test_shared_lanes_say_so_and_the_latency_has_wait_and_response(autojump_clock):
    async with simulated() as engine:
        record = await run_cell(engine, cell_policy(duration_ns=5 * NS_PER_S), concurrency=8, lanes=2)

    latency = record.latency
    assert record.memory.resident_lanes == 2
    assert "backpressure" in [reason.code for reason in record.reasons]
    assert latency.wait.n == latency.response.n == latency.service.n == record.n
    assert latency.wait.mean_ns == pytest.approx(6e6, rel=0.01)
    assert latency.response.mean_ns == pytest.approx(8e6, rel=0.01)
    # Little's law for workers.
    assert record.throughput_queries_s * latency.response.mean_ns / NS_PER_S == pytest.approx(8, rel=0.01)
