"""The accuracy of a cell: on as many lanes as memory has, and never at the cost of a speed that was measured."""

from __future__ import annotations

from functools import partial

import pytest
import trio

from asyncbench.bench.accuracy.accuracy_cell import add_quality
from asyncbench.bench.cell.cell_memory import predicted_memory
from asyncbench.errors import DeviceLostError, DoesNotFitError, LaneError
from asyncbench.results.accuracy import Accuracy
from asyncbench.results.status import Status
from asyncbench.testing import CellBench, ones_for, simulated_engine
from asyncbench.wire.messages import CellEnded

MIB = 1 << 20
LANES = 8
ACCURACY = Accuracy(dataset="ten", subset="all", subset_hash="0" * 64, n=10, skipped=0, skipped_items=[], metrics={})

simulated = partial(simulated_engine, memory="164MiB")  # of which an engine takes 64 MiB, and each lane 20 MiB


class Check:
    """Stands for QualityCheck, whose images and network do not matter here: it fails, or needs that many lanes."""

    def __init__(self, *, max_lanes=LANES, error=None, forever=False):
        self.tried = []
        self._max_lanes = max_lanes
        self._error = error
        self._forever = forever

    async def measure(self, engine, *, batch, lanes, on_progress):
        self.tried.append(lanes)
        if lanes > self._max_lanes:
            raise DoesNotFitError("the lanes were refused", remedy="lower --concurrency", requested_bytes=lanes)
        async with engine.open_lanes(batch=batch, count=lanes, inputs=ones_for(engine.facts.inputs, batch)):
            on_progress(batch)
            if self._error is not None:
                raise self._error
            if self._forever:
                await trio.sleep_forever()
        return ACCURACY


async def add(engine, check, *, timed=None, bench=None):
    bench = bench or CellBench(engine)
    base = bench.record_base(LANES)
    return await add_quality(
        base,
        engine,
        check,
        bench.controller,
        timed=timed and CellEnded(record=timed(base)),
        max_lanes=LANES,
        stop_requested=bench.stop_requested,
        on_progress=lambda _items: None,
    )


def fast(frame):
    record = frame.record(status=Status.MEASURED, reasons=[], memory=predicted_memory(frame.forecast))
    return record.model_copy(update={"throughput_items_s": 1000.0, "n": 500})


async def test_accuracy_alone_is_measured_on_the_lanes_that_fit_and_says_so(autojump_clock):
    check = Check()

    async with simulated() as engine:
        ended = await add(engine, check)

    assert check.tried == [5]
    assert (ended.record.status, ended.record.accuracy) == (Status.MEASURED, ACCURACY)
    assert ended.record.memory.resident_lanes == 5
    assert ended.record.memory.predicted_device_bytes == 5 * 20 * MIB
    assert [reason.code for reason in ended.record.reasons] == ["backpressure"]


async def test_lanes_that_are_refused_in_spite_of_the_prediction_are_fewer_at_the_next_try(autojump_clock):
    check = Check(max_lanes=3)

    async with simulated() as engine:
        ended = await add(engine, check)

    assert check.tried[0] == 5
    assert ended.record.memory.resident_lanes == check.tried[-1] <= 3
    assert ended.record.accuracy == ACCURACY
    assert "memory_refused" in [reason.code for reason in ended.record.reasons]


async def test_accuracy_is_put_into_the_record_of_the_speed(autojump_clock):
    async with simulated() as engine:
        ended = await add(engine, Check(), timed=fast)

    assert (ended.record.throughput_items_s, ended.record.accuracy) == (1000.0, ACCURACY)
    assert ended.record.status is Status.MEASURED


@pytest.mark.parametrize(
    ("error", "unfit"),
    [
        (LaneError("lane 3 failed", remedy="look at the log", lane=3), False),
        (DeviceLostError("lane 3 hangs", remedy="look at the log", lane=3), True),
        (DoesNotFitError("nothing is left", remedy="wait", lane=3), False),
    ],
)
async def test_a_speed_that_was_measured_outlives_an_accuracy_that_failed(autojump_clock, error, unfit):
    async with simulated() as engine:
        ended = await add(engine, Check(error=error), timed=fast)

    assert (ended.record.status, ended.unfit) == (Status.ERROR, unfit)
    assert (ended.record.throughput_items_s, ended.record.accuracy) == (1000.0, None)
    assert [reason.code for reason in ended.record.reasons] == ["accuracy_failed"]
    assert error.message in ended.record.reasons[0].text
    assert ended.record.facts["lane"] == 3


async def test_a_cell_that_fits_nowhere_has_no_accuracy_either(autojump_clock):
    async with simulated(memory="70MiB") as engine:
        ended = await add(engine, Check())

    assert ended.record.status is Status.DOES_NOT_FIT


async def test_a_stop_while_accuracy_is_measured_interrupts_the_cell(autojump_clock):
    async with simulated() as engine, trio.open_nursery() as nursery:
        bench = CellBench(engine)
        nursery.start_soon(_set_after_a_second, bench.stop_requested)
        ended = await add(engine, Check(forever=True), timed=fast, bench=bench)

    assert ended.record.status is Status.INTERRUPTED


async def _set_after_a_second(event):
    await trio.sleep(1)
    event.set()
