"""A cell that is admitted, refused in spite of it, and tried again on fewer lanes."""

from __future__ import annotations

from contextlib import asynccontextmanager

import pytest
import trio

from asyncbench.bench.cell.cell_record import failed_record
from asyncbench.bench.memory.admission_controller import MemoryPolicy
from asyncbench.errors import DoesNotFitError, LaneError
from asyncbench.results.status import Status
from asyncbench.testing import CellBench, open_lane_bytes, simulated_engine

MIB = 1 << 20
LANE_BYTES = 20 * MIB


class ThirstyEngine:
    """An engine over another one that takes more for its lanes than it forecasts, or that others take from.

    Args:
        missed_bytes: What each lane takes beyond the forecast.
        hogs: For each opening of lanes, what somebody else holds while they are opened.
    """

    def __init__(self, engine, *, missed_bytes=0, hogs=()):
        self.tried = []
        self.freed = 0
        self._engine = engine
        self._missed_bytes = missed_bytes
        self._hogs = list(hogs)

    def __getattr__(self, name):
        return getattr(self._engine, name)

    async def free_lanes(self):
        self.freed += 1
        await self._engine.free_lanes()

    @asynccontextmanager
    async def open_lanes(self, *, batch, count, inputs):
        self.tried.append(count)
        device = self._engine.device
        missed_bytes, hog_bytes = count * self._missed_bytes, self._hogs.pop(0) if self._hogs else 0
        device.reserve(missed_bytes, "what nobody could predict")
        device.free_bytes -= hog_bytes
        hog_holds = True

        def let_go():
            nonlocal hog_holds
            device.free_bytes += hog_bytes if hog_holds else 0
            hog_holds = False

        try:
            async with self._engine.open_lanes(batch=batch, count=count, inputs=inputs) as lanes:
                let_go()
                yield lanes
        finally:
            let_go()
            device.free_bytes += missed_bytes


@asynccontextmanager
async def simulated(*, missed_bytes=0, hogs=(), **device):
    """A device of which lanes may have 100 MiB."""
    async with simulated_engine(memory="164MiB", **device) as engine:
        yield ThirstyEngine(engine, missed_bytes=missed_bytes, hogs=hogs)
        assert await open_lane_bytes(engine) == 0


async def test_a_cell_that_fits_runs_on_all_its_lanes_and_is_predicted_to_the_byte(autojump_clock):
    async with simulated() as engine:
        record = await CellBench(engine).record(3)

    assert engine.tried == [3]
    memory = record.memory
    assert memory.resident_lanes == 3
    assert memory.predicted_device_bytes == memory.used_device_bytes == 3 * LANE_BYTES
    assert memory.device_error_bytes == 0
    assert memory.budget_bytes == 100 * MIB


async def test_a_cell_that_does_not_fit_whole_runs_on_the_lanes_that_do(autojump_clock):
    async with simulated() as engine:
        record = await CellBench(engine).record(8)

    assert engine.tried == [5]
    assert record.memory.resident_lanes == 5
    (reason,) = [reason for reason in record.reasons if reason.code == "backpressure"]
    assert reason.text == "8 workers took turns on 5 lanes: device memory is short"


async def test_no_more_lanes_are_taken_than_are_allowed(autojump_clock):
    async with simulated() as engine:
        ran = await CellBench(engine).measure(8, max_lanes=2)

    assert engine.tried == [2]
    assert ran.seen.resident_lanes == 2


async def test_memory_refused_in_spite_of_the_prediction_is_freed_recorded_and_tried_with_fewer_lanes(autojump_clock):
    async with simulated(missed_bytes=10 * MIB) as engine:
        record = await CellBench(engine).record(5)

    # 30 MiB a lane really: three lanes fit into 100 MiB.
    assert engine.tried[0] == 5
    assert engine.tried[-1] == record.memory.resident_lanes == 3
    assert engine.freed == len(engine.tried) - 1
    refusals = [reason.text for reason in record.reasons if reason.code == "memory_refused"]
    assert len(refusals) == engine.freed
    assert refusals[0].startswith("5 lanes: ")
    assert record.status is not Status.ERROR


async def test_what_was_refused_is_not_tried_again_by_the_next_cell(autojump_clock):
    async with simulated(missed_bytes=10 * MIB) as engine:
        bench = CellBench(engine)
        await bench.measure(5)
        engine.tried.clear()
        await bench.measure(5)

    assert max(engine.tried) < 5


async def test_a_hog_that_has_gone_costs_one_cell_lanes_and_no_other_one(autojump_clock):
    async with simulated(hogs=[30 * MIB]) as engine:
        bench = CellBench(engine)
        await bench.measure(5)
        await bench.measure(5)

    assert engine.tried == [5, 3, 5]


async def test_one_lane_that_is_refused_does_not_fit_and_the_record_tells_of_the_tries_before(autojump_clock):
    async with simulated(missed_bytes=90 * MIB) as engine:
        bench = CellBench(engine)
        with pytest.raises(DoesNotFitError) as caught:
            await bench.measure(4)
        record = failed_record(bench.record_base(4), caught.value)

    assert engine.tried[0] == 4
    assert engine.freed == len(engine.tried)
    assert record.status is Status.DOES_NOT_FIT
    assert record.facts["refused_before"].startswith("4 lanes: ")
    assert record.facts["available_bytes"] >= 0


async def test_a_single_lane_that_is_refused_is_tried_once_and_the_next_cell_tries_itself(autojump_clock):
    async with simulated(hogs=[99 * MIB]) as engine:
        bench = CellBench(engine)
        with pytest.raises(DoesNotFitError) as caught:
            await bench.measure(1)
        await bench.measure(1)

    assert engine.tried == [1, 1]
    assert caught.value.facts["lanes_refused"] == 1
    assert "refused_before" not in caught.value.facts


async def test_where_lanes_may_not_be_shared_a_refusal_ends_the_cell(autojump_clock):
    async with simulated(missed_bytes=10 * MIB) as engine:
        with pytest.raises(DoesNotFitError):
            await CellBench(engine, memory=MemoryPolicy(share_lanes=False, reserve_bytes=0)).measure(5)

    assert engine.tried == [5]


@pytest.mark.parametrize(
    ("faults", "error"), [([{"at": 7, "kind": "error"}], LaneError), ([], None)], ids=["failed", "whole"]
)
async def test_as_much_as_before_is_admitted_after_a_cell(faults, error, autojump_clock):
    async with simulated(faults=faults) as engine:
        bench = CellBench(engine, memory=MemoryPolicy(device_budget_bytes=164 * MIB, reserve_bytes=0))
        if error:
            with pytest.raises(error):
                await bench.measure(5)
        else:
            await bench.measure(5)

        admission = await bench.controller.admit(batch=1, concurrency=8)

    assert admission.lanes == 5


async def test_as_much_as_before_is_admitted_after_a_cell_that_is_cancelled(autojump_clock):
    async with simulated() as engine:
        bench = CellBench(engine, memory=MemoryPolicy(device_budget_bytes=164 * MIB, reserve_bytes=0))
        await bench.inputs.of(1)  # before the deadline: while a thread makes them, the clock of the test jumps
        with trio.move_on_after(0.3) as scope:
            await bench.measure(5)

        admission = await bench.controller.admit(batch=1, concurrency=8)

    assert scope.cancelled_caught
    assert admission.lanes == 5


async def test_a_stop_while_tries_are_repeated_ends_with_the_next_try(autojump_clock):
    async with simulated(missed_bytes=10 * MIB) as engine:
        bench = CellBench(engine)
        bench.stop_requested.set()
        record = await bench.record(5)

    assert record.status is Status.INTERRUPTED
