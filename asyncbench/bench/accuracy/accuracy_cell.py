"""Accuracy of one cell, in its record."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeAlias

import trio

from asyncbench.backends.base import Engine
from asyncbench.bench.cell.admitted_cell import Admitted, run_admitted
from asyncbench.bench.cell.cell_memory import admission_reasons, admitted_memory, predicted_memory
from asyncbench.bench.cell.cell_record import RecordBase, failed_record
from asyncbench.bench.memory.admission_controller import AdmissionController
from asyncbench.error_group import own_error_alone
from asyncbench.error_translation import leaves_unfit, log_error
from asyncbench.errors import AsyncbenchError
from asyncbench.results.accuracy import Accuracy
from asyncbench.results.cell_parts import Reason
from asyncbench.results.record import CellRecord
from asyncbench.results.status import ReasonCode, Status
from asyncbench.sweep.cell import Cell
from asyncbench.sweep.config import Mode, SweepConfig
from asyncbench.wire.messages import CellEnded

OnProgress: TypeAlias = Callable[[int], None]


class Quality(Protocol):
    """Measurement of an engine's accuracy; implemented by `accuracy_check`, which few sweeps need."""

    @property
    def subset_sha256(self) -> str:
        """The hash of the items that are counted, for the header."""

    async def measure(self, engine: Engine, *, batch: int, lanes: int, on_progress: OnProgress) -> Accuracy:
        """Run the data set through `lanes` lanes at `batch`; `on_progress` takes how many items are done."""


def asks_for_quality(config: SweepConfig, cell: Cell) -> bool:
    """Return whether the accuracy of a cell is wanted: of all in mode accuracy, else of the busiest of each batch."""
    if config.dataset is None:
        return False
    return config.mode is Mode.ACCURACY or cell.concurrency == max(config.concurrency)


async def add_quality(
    base: RecordBase,
    engine: Engine,
    quality: Quality,
    controller: AdmissionController,
    *,
    timed: CellEnded | None,
    max_lanes: int,
    stop_requested: trio.Event,
    on_progress: OnProgress,
) -> CellEnded:
    """Return the record of a cell with its accuracy in it.

    Args:
        timed: The cell's record so far; None where only the accuracy is wanted.
    """
    if timed is not None and timed.record.status in (Status.DOES_NOT_FIT, Status.INTERRUPTED, Status.ERROR):
        return timed

    async def measure(lanes: int) -> Accuracy | None:
        batch = base.cell.batch
        return await _until_stopped(
            engine, quality, batch=batch, lanes=lanes, stop_requested=stop_requested, on_progress=on_progress
        )

    try:
        ran = await run_admitted(controller, base.cell, measure, max_lanes=max_lanes)
    except Exception as raised:  # noqa: BLE001 # it costs this cell alone
        error = log_error("accuracy.failed", raised, index=base.index)
        record = (
            _without_accuracy(timed.record, error)
            if timed
            else failed_record(base, error, code=ReasonCode.ACCURACY_FAILED)
        )
        return CellEnded(record=record, unfit=leaves_unfit(error))
    return CellEnded(record=_with_accuracy(base, timed.record if timed else None, ran))


async def _until_stopped(
    engine: Engine, quality: Quality, *, batch: int, lanes: int, stop_requested: trio.Event, on_progress: OnProgress
) -> Accuracy | None:
    """Return the accuracy, or None where the user stopped it."""
    accuracy: Accuracy | None = None
    with own_error_alone():
        async with trio.open_nursery() as nursery:

            async def stop() -> None:
                await stop_requested.wait()
                nursery.cancel_scope.cancel()

            nursery.start_soon(stop)
            accuracy = await quality.measure(engine, batch=batch, lanes=lanes, on_progress=on_progress)
            nursery.cancel_scope.cancel()
    return accuracy


def _with_accuracy(base: RecordBase, timed: CellRecord | None, ran: Admitted[Accuracy | None]) -> CellRecord:
    if ran.seen is None:
        text = "stopped by the user while the accuracy was measured"
        reasons = [Reason(code=ReasonCode.INTERRUPTED, text=text)]
        return base.record(status=Status.INTERRUPTED, reasons=reasons, memory=predicted_memory(base.forecast))
    if timed is not None:
        return timed.with_accuracy(ran.seen)
    reasons = list(admission_reasons(ran, concurrency=base.cell.concurrency))
    return base.record(status=Status.MEASURED, reasons=reasons, memory=admitted_memory(ran), accuracy=ran.seen)


def _without_accuracy(timed: CellRecord, error: AsyncbenchError) -> CellRecord:
    """Return the record of a cell whose speed is known: half of what was asked for, and that half is kept."""
    reason = Reason(code=ReasonCode.ACCURACY_FAILED, text=str(error))
    return timed.annotate(reason, facts=error.facts, status=Status.ERROR)
