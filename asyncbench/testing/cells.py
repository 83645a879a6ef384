"""Cells on an open engine, admitted and measured as in a bench process, without one."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Sequence

import trio

from asyncbench.backends.base import Engine
from asyncbench.bench.cell.admitted_cell import AdmittedCell, measure_admitted
from asyncbench.bench.cell.cell_policy import CellPolicy
from asyncbench.bench.cell.cell_record import RecordBase, measured_record
from asyncbench.bench.cell.cell_runner import CellRunner, Progress, WatchCell
from asyncbench.bench.cell.output_check import OutputCheck
from asyncbench.bench.input_supply import InputSupply
from asyncbench.bench.load.generator import ChosenLoad
from asyncbench.bench.load.registry import CLOSED_LOAD
from asyncbench.bench.memory.admission_controller import AdmissionController, MemoryPolicy
from asyncbench.clock import NS_PER_S
from asyncbench.conditions.probes import watch_nothing
from asyncbench.measurement.stopping import StopRule
from asyncbench.results.record import CellRecord
from asyncbench.sweep.cell import Cell, Driver, InputKind, Precision
from asyncbench.testing.engines import ones_for
from asyncbench.testing.memory import host_reading


def cell_policy(
    *,
    iterations: int | None = None,
    duration_ns: int | None = None,
    driver: Driver = Driver.PUMP,
    load: ChosenLoad = CLOSED_LOAD,
    input_kind: InputKind = InputKind.RANDOM,
    warmup_ns: int | None = None,
    stall_limit_ns: int = 3 * NS_PER_S,
) -> CellPolicy:
    """Return how to measure a cell: for so many inferences, for so long, or by default for a second."""
    return CellPolicy(
        driver=driver,
        input_kind=input_kind,
        rule=StopRule(
            median_ratio=0.01,
            p99_ratio=0.05,
            min_window_ns=NS_PER_S,
            max_window_ns=NS_PER_S,
            iterations=iterations,
            duration_ns=duration_ns,
        ),
        warmup_ns=warmup_ns,
        stall_limit_ns=stall_limit_ns,
        load=load,
    )


class CellBench:
    """Bench that measures cells on an engine, one after the other, and learns of memory from each.

    Args:
        policy: How to measure; None for `cell_policy()`.
        memory: What the user said of memory; None for no reserve and no budget. The host has plenty.
        batches: Every batch that is going to be asked for.

    Attributes:
        controller: Admits the cells.
        inputs: Feeds them, with ones.
        stop_requested: Set it to have a cell interrupted.
    """

    def __init__(
        self,
        engine: Engine,
        policy: CellPolicy | None = None,
        *,
        memory: MemoryPolicy | None = None,
        batches: Sequence[int] = (1,),
        progress: Progress = lambda _phase, _count, _elapsed_ns: None,
        watch: WatchCell = watch_nothing,
    ) -> None:
        self.controller = AdmissionController(
            engine, memory or MemoryPolicy(reserve_bytes=0), batches=batches, read_host=host_reading
        )
        self.inputs = InputSupply(engine.facts.inputs, ones_for)
        self.stop_requested = trio.Event()
        self._engine = engine
        self._policy = policy or cell_policy()
        self._outputs = OutputCheck(lambda _outputs: None)
        self._progress = progress
        self._watch = watch

    async def record(
        self,
        concurrency: int,
        *,
        batch: int = 1,
        max_lanes: int | None = None,
        beside: Callable[[], Awaitable[None]] | None = None,
        within_s: float = math.inf,
    ) -> CellRecord:
        """Measure a cell and return its record; see `measure`."""
        base = self.record_base(concurrency, batch=batch)
        ran = await self.measure(concurrency, batch=batch, max_lanes=max_lanes, beside=beside, within_s=within_s)
        return measured_record(base, ran)

    async def measure(
        self,
        concurrency: int,
        *,
        batch: int = 1,
        max_lanes: int | None = None,
        beside: Callable[[], Awaitable[None]] | None = None,
        within_s: float = math.inf,
    ) -> AdmittedCell:
        """Measure a cell on as many lanes as are admitted.

        Args:
            max_lanes: More lanes are not asked for; None for as many as the concurrency.
            beside: Runs beside the cell, and is cancelled when that is over. What either raises is then in a group.
            within_s: When the cell must be over, once its inputs are made.

        Raises:
            DoesNotFitError: It cannot run on any number of lanes.
            LaneError: See `CellRunner.run`.
            trio.TooSlowError: It was not over within so long.
        """
        cell = self._cell(concurrency, batch=batch)
        # Made before any deadline: while a thread makes them, a mock clock jumps to whatever comes next.
        await self.inputs.of(batch)

        def make_runner(lanes: int) -> CellRunner:
            return CellRunner(
                self._engine,
                cell,
                self._policy,
                lanes=lanes,
                controller=self.controller,
                inputs=self.inputs,
                outputs=self._outputs,
                stop_requested=self.stop_requested,
                progress=self._progress,
                watch=self._watch,
            )

        with trio.fail_after(within_s):
            if beside is None:
                return await measure_admitted(self.controller, cell, make_runner, max_lanes=max_lanes or concurrency)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(beside)
                ran = await measure_admitted(self.controller, cell, make_runner, max_lanes=max_lanes or concurrency)
                nursery.cancel_scope.cancel()
        return ran

    def record_base(self, concurrency: int, *, batch: int = 1) -> RecordBase:
        """Return what a record of such a cell says whatever becomes of it; for records of cells that failed."""
        return RecordBase(
            sweep_id="0",
            index=0,
            attempt=1,
            cell=self._cell(concurrency, batch=batch),
            engine=self._engine.facts,
            policy=self._policy,
            forecast=self.controller.forecast(batch=batch, lanes=concurrency),
            started_at="2026-01-01T00:00:00Z",
        )

    def _cell(self, concurrency: int, *, batch: int) -> Cell:
        facts = self._engine.facts
        return Cell(model="any", precision=Precision.FP32, batch=batch, concurrency=concurrency, device=facts.device)
