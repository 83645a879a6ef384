"""What a whole sweep amounts to."""

from __future__ import annotations

from collections.abc import Sequence

from asyncbench.clock import utc_now_text
from asyncbench.errors import ExitCode
from asyncbench.measurement.status import Status
from asyncbench.results.record import CellRecord, TrailerRecord
from asyncbench.results.summary import best_throughput, best_under_latency_limit, count_statuses, knee

_FAILED = (Status.ERROR, Status.INVALID)


def exit_code_of(records: Sequence[CellRecord], *, interrupted: bool) -> ExitCode:
    """Return what the shell is told: interrupted before failed before fine. What does not fit is a result."""
    if interrupted:
        return ExitCode.INTERRUPTED
    return ExitCode.CELLS_FAILED if any(record.status in _FAILED for record in records) else ExitCode.OK


def make_trailer(
    records: Sequence[CellRecord],
    *,
    sweep_id: str,
    exit_code: ExitCode,
    duration_ns: int,
    latency_limit_ns: int | None,
) -> TrailerRecord:
    """Return the trailer for all cells that have a record.

    The best cells are only named where all cells are of one model: another network's items are other items.
    """
    comparable = records if len({record.model for record in records}) == 1 else ()
    limited = None if latency_limit_ns is None else best_under_latency_limit(comparable, latency_limit_ns)
    return TrailerRecord(
        sweep_id=sweep_id,
        ended_at=utc_now_text(),
        status_counts=count_statuses(records),
        exit_code=exit_code,
        duration_ns=duration_ns,
        best_throughput=best_throughput(comparable),
        best_under_latency_limit=limited,
        knee=knee(comparable),
    )
