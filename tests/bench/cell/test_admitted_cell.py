"""A cell that is admitted, refused in spite of it, and tried again on fewer lanes."""

from __future__ import annotations

from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np
import pytest
import trio

from asyncbench.backends.base import EngineRequest
from asyncbench.backends.simulated.backend import SimulatedBackend
from asyncbench.backends.simulated.spec import parse_simulated_spec
from asyncbench.bench.cell.admitted_cell import measure_admitted
from asyncbench.bench.cell.cell_policy import CellPolicy
from asyncbench.bench.cell.cell_record import RecordBase, failed_record, measured_record
from asyncbench.bench.cell.cell_runner import CellRunner
from asyncbench.bench.cell.output_check import OutputCheck
from asyncbench.bench.input_supply import InputSupply
from asyncbench.bench.memory.admission_controller import AdmissionController, MemoryPolicy
from asyncbench.clock import NS_PER_S
from asyncbench.errors import DoesNotFitError, LaneError
from asyncbench.measurement.stopping import StopRule
from asyncbench.memory.host.probe import HostReading
from asyncbench.results.status import Status
from asyncbench.sweep.cell import Cell, Driver, InputKind, Precision

MIB = 1 << 20
LANE_BYTES = 20 * MIB
REQUEST = EngineRequest(
    model_name="any",
    model_path=Path("simulated"),
    precision=Precision.FP32,
    device="sim",
    batches=(1,),
    max_concurrency=8,
)
INPUTS = {"input": np.ones((1, 3, 224, 224), dtype=np.float32)}
PLENTY = HostReading(available_bytes=1 << 40, limit_bytes=None, limited_by="system", pressure_avg10=None, oom_kills=0)
POLICY = CellPolicy(
    driver=Driver.PUMP,
    input_kind=InputKind.RANDOM,
    rule=StopRule(median_ratio=0.01, p99_ratio=0.05, min_window_ns=NS_PER_S, max_window_ns=NS_PER_S),
    warmup_ns=None,
    stall_limit_ns=3 * NS_PER_S,
)


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
        device = self._engine._device
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
    spec = {"service": {"median": "2ms"}, "slots": 64, "memory": "164MiB", "engine_bytes": "64MiB"}
    async with SimulatedBackend(parse_simulated_spec(spec | device)).open_engine(REQUEST) as engine:
        yield ThirstyEngine(engine, missed_bytes=missed_bytes, hogs=hogs)
        assert (await engine.read_memory()).open_bytes == 0


class Bench:
    """As much of a bench process as a cell needs."""

    def __init__(self, engine, *, stop_requested=None, **policy):
        self.controller = AdmissionController(
            engine, MemoryPolicy(**{"reserve_bytes": 0} | policy), batches=(1,), read_host=lambda: PLENTY
        )
        self._engine = engine
        self._stop_requested = trio.Event() if stop_requested is None else stop_requested
        self._outputs = OutputCheck(lambda _outputs: None)
        self.inputs = InputSupply(engine.facts.inputs, lambda *_: INPUTS)

    def frame(self, concurrency):
        return RecordBase(
            sweep_id="0",
            index=0,
            attempt=1,
            cell=Cell(model="any", precision=Precision.FP32, batch=1, concurrency=concurrency, device="sim"),
            engine=self._engine.facts,
            policy=POLICY,
            forecast=self.controller.forecast(batch=1, lanes=concurrency),
            started_at="2026-01-01T00:00:00Z",
        )

    async def run(self, concurrency, *, max_lanes=None):
        cell = self.frame(concurrency).cell

        def make_runner(lanes):
            return CellRunner(
                self._engine,
                cell,
                POLICY,
                lanes=lanes,
                controller=self.controller,
                inputs=self.inputs,
                outputs=self._outputs,
                stop_requested=self._stop_requested,
                progress=lambda _phase, _n, _elapsed_ns: None,
            )

        return await measure_admitted(self.controller, cell, make_runner, max_lanes=max_lanes or concurrency)


async def test_a_cell_that_fits_runs_on_all_its_lanes_and_is_predicted_to_the_byte(autojump_clock):
    async with simulated() as engine:
        bench = Bench(engine)
        record = measured_record(bench.frame(3), await bench.run(3))

    assert engine.tried == [3]
    memory = record.memory
    assert memory.resident_lanes == 3
    assert memory.predicted_device_bytes == memory.used_device_bytes == 3 * LANE_BYTES
    assert memory.device_error_bytes == 0
    assert memory.budget_bytes == 100 * MIB


async def test_a_cell_that_does_not_fit_whole_runs_on_the_lanes_that_do(autojump_clock):
    async with simulated() as engine:
        bench = Bench(engine)
        record = measured_record(bench.frame(8), await bench.run(8))

    assert engine.tried == [5]
    assert record.memory.resident_lanes == 5
    (reason,) = [reason for reason in record.reasons if reason.code == "backpressure"]
    assert reason.text == "8 workers took turns on 5 lanes: device memory is short"


async def test_no_more_lanes_are_taken_than_are_allowed(autojump_clock):
    async with simulated() as engine:
        ran = await Bench(engine).run(8, max_lanes=2)

    assert engine.tried == [2]
    assert ran.seen.resident_lanes == 2


async def test_memory_refused_in_spite_of_the_prediction_is_freed_recorded_and_tried_with_fewer_lanes(autojump_clock):
    async with simulated(missed_bytes=10 * MIB) as engine:
        bench = Bench(engine)
        record = measured_record(bench.frame(5), await bench.run(5))

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
        bench = Bench(engine)
        await bench.run(5)
        engine.tried.clear()
        await bench.run(5)

    assert max(engine.tried) < 5


async def test_a_hog_that_has_gone_costs_one_cell_lanes_and_no_other_one(autojump_clock):
    async with simulated(hogs=[30 * MIB]) as engine:
        bench = Bench(engine)
        await bench.run(5)
        await bench.run(5)

    assert engine.tried == [5, 3, 5]


async def test_one_lane_that_is_refused_does_not_fit_and_the_record_tells_of_the_tries_before(autojump_clock):
    async with simulated(missed_bytes=90 * MIB) as engine:
        bench = Bench(engine)
        with pytest.raises(DoesNotFitError) as caught:
            await bench.run(4)
        record = failed_record(bench.frame(4), caught.value)

    assert engine.tried[0] == 4
    assert engine.freed == len(engine.tried)
    assert record.status is Status.DOES_NOT_FIT
    assert record.facts["refused_before"].startswith("4 lanes: ")
    assert record.facts["available_bytes"] >= 0


async def test_a_single_lane_that_is_refused_is_tried_once_and_the_next_cell_tries_itself(autojump_clock):
    async with simulated(hogs=[99 * MIB]) as engine:
        bench = Bench(engine)
        with pytest.raises(DoesNotFitError) as caught:
            await bench.run(1)
        await bench.run(1)

    assert engine.tried == [1, 1]
    assert caught.value.facts["lanes_refused"] == 1
    assert "refused_before" not in caught.value.facts


async def test_where_lanes_may_not_be_shared_a_refusal_ends_the_cell(autojump_clock):
    async with simulated(missed_bytes=10 * MIB) as engine:
        with pytest.raises(DoesNotFitError):
            await Bench(engine, share_lanes=False).run(5)

    assert engine.tried == [5]


@pytest.mark.parametrize(
    ("faults", "error"), [([{"at": 7, "kind": "error"}], LaneError), ([], None)], ids=["failed", "whole"]
)
async def test_as_much_as_before_is_admitted_after_a_cell(faults, error, autojump_clock):
    async with simulated(faults=faults) as engine:
        bench = Bench(engine, device_budget_bytes=164 * MIB)
        if error:
            with pytest.raises(error):
                await bench.run(5)
        else:
            await bench.run(5)

        admission = await bench.controller.admit(batch=1, concurrency=8)

    assert admission.lanes == 5


async def test_as_much_as_before_is_admitted_after_a_cell_that_is_cancelled(autojump_clock):
    async with simulated() as engine:
        bench = Bench(engine, device_budget_bytes=164 * MIB)
        await bench.inputs.of(1)  # before the deadline: while a thread makes them, the clock of the test jumps
        with trio.move_on_after(0.3) as scope:
            await bench.run(5)

        admission = await bench.controller.admit(batch=1, concurrency=8)

    assert scope.cancelled_caught
    assert admission.lanes == 5


async def test_a_stop_while_tries_are_repeated_ends_with_the_next_try(autojump_clock):
    stop_requested = trio.Event()
    async with simulated(missed_bytes=10 * MIB) as engine:
        bench = Bench(engine, stop_requested=stop_requested)
        stop_requested.set()
        record = measured_record(bench.frame(5), await bench.run(5))

    assert record.status is Status.INTERRUPTED
