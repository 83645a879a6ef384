"""The accuracy of a cell: on as many lanes as memory has, and never at the cost of a speed that was measured."""

from __future__ import annotations

from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np
import pytest
import trio

from asyncbench.backends.base import EngineRequest
from asyncbench.backends.simulated.backend import SimulatedBackend
from asyncbench.backends.simulated.spec import parse_simulated_spec
from asyncbench.bench.accuracy.accuracy_cell import add_quality
from asyncbench.bench.cell.cell_memory import predicted_memory
from asyncbench.bench.cell.cell_policy import CellPolicy
from asyncbench.bench.cell.cell_record import RecordBase
from asyncbench.bench.memory.admission_controller import AdmissionController, MemoryPolicy
from asyncbench.clock import NS_PER_S
from asyncbench.errors import DeviceLostError, DoesNotFitError, LaneError
from asyncbench.measurement.stopping import StopRule
from asyncbench.memory.host.probe import HostReading
from asyncbench.results.accuracy import Accuracy
from asyncbench.results.status import Status
from asyncbench.sweep.cell import Cell, Driver, InputKind, Precision
from asyncbench.wire.messages import CellEnded

MIB = 1 << 20
LANES = 8
INPUTS = {"input": np.ones((1, 3, 224, 224), dtype=np.float32)}
ACCURACY = Accuracy(dataset="ten", subset="all", subset_hash="0" * 64, n=10, skipped=0, skipped_items=[], metrics={})
POLICY = CellPolicy(
    driver=Driver.PUMP,
    input_kind=InputKind.IMAGES,
    rule=StopRule(median_ratio=0.01, p99_ratio=0.05, min_window_ns=NS_PER_S, max_window_ns=NS_PER_S),
    warmup_ns=None,
    stall_limit_ns=3 * NS_PER_S,
)
PLENTY = HostReading(available_bytes=1 << 40, limit_bytes=None, limited_by="system")


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
        async with engine.open_lanes(batch=batch, count=lanes, inputs=INPUTS):
            on_progress(batch)
            if self._error is not None:
                raise self._error
            if self._forever:
                await trio.sleep_forever()
        return ACCURACY


@asynccontextmanager
async def simulated(memory="164MiB"):
    """A device on which an engine takes 64 MiB, and each lane 20 MiB."""
    spec = parse_simulated_spec({"service": {"median": "2ms"}, "memory": memory, "engine_bytes": "64MiB"})
    request = EngineRequest(
        model_name="any",
        model_path=Path("simulated"),
        precision=Precision.FP32,
        device="sim",
        batches=(1,),
        max_concurrency=LANES,
    )
    async with SimulatedBackend(spec).open_engine(request) as engine:
        yield engine


async def add(engine, check, *, timed=None, stop_requested=None):
    controller = AdmissionController(engine, MemoryPolicy(reserve_bytes=0), batches=(1,), read_host=lambda: PLENTY)
    return await add_quality(
        frame_of(engine, controller),
        engine,
        check,
        controller,
        timed=timed and CellEnded(record=timed(frame_of(engine, controller))),
        max_lanes=LANES,
        stop_requested=trio.Event() if stop_requested is None else stop_requested,
        on_progress=lambda _items: None,
    )


def frame_of(engine, controller):
    return RecordBase(
        sweep_id="0",
        index=0,
        attempt=1,
        cell=Cell(model="any", precision=Precision.FP32, batch=1, concurrency=LANES, device="sim"),
        engine=engine.facts,
        policy=POLICY,
        forecast=controller.forecast(batch=1, lanes=LANES),
        started_at="2026-01-01T00:00:00Z",
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
    stop_requested = trio.Event()

    async with simulated() as engine, trio.open_nursery() as nursery:
        nursery.start_soon(_set_after_a_second, stop_requested)
        ended = await add(engine, Check(forever=True), timed=fast, stop_requested=stop_requested)

    assert ended.record.status is Status.INTERRUPTED


async def _set_after_a_second(event):
    await trio.sleep(1)
    event.set()
