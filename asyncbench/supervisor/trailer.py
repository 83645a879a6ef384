"""Trailer of a sweep: counts, the cells that stand out, the exit code."""

from __future__ import annotations

from collections.abc import Sequence

from asyncbench.clock import utc_now_text
from asyncbench.errors import ExitCode
from asyncbench.results.latency_limit import sort_by_limit
from asyncbench.results.record import CellRecord, LatencyLimitCounts, TrailerRecord
from asyncbench.results.status import Status
from asyncbench.results.summary import best_throughput, best_under_latency_limit, count_statuses, knee
from asyncbench.sweep.latency_limit import LatencyLimit

_FAILED = (Status.ERROR, Status.INVALID)


def exit_code_of(records: Sequence[CellRecord], *, interrupted: bool) -> ExitCode:
    """Return the exit code: interrupted before failed before fine. What does not fit is a result."""
    if interrupted:
        return ExitCode.INTERRUPTED
    return ExitCode.CELLS_FAILED if any(record.status in _FAILED for record in records) else ExitCode.OK


def make_trailer(
    records: Sequence[CellRecord],
    *,
    sweep_id: str,
    exit_code: ExitCode,
    duration_ns: int,
    latency_limit: LatencyLimit | None,
) -> TrailerRecord:
    """Return the trailer for all cells that have a record.

    The best cells are only named where all cells are of one model: another network's items are other items.
    """
    comparable = records if len({record.model for record in records}) == 1 else ()
    return TrailerRecord(
        sweep_id=sweep_id,
        ended_at=utc_now_text(),
        status_counts=count_statuses(records),
        exit_code=exit_code,
        duration_ns=duration_ns,
        best_throughput=best_throughput(comparable),
        best_under_latency_limit=best_under_latency_limit(comparable, latency_limit) if latency_limit else None,
        latency_limit=_counts(comparable, latency_limit) if latency_limit and comparable else None,
        knee=knee(comparable),
    )


def _counts(cells: Sequence[CellRecord], limit: LatencyLimit) -> LatencyLimitCounts:
    stand = sort_by_limit(cells, limit)
    return LatencyLimitCounts(
        percentile=limit.percentile,
        latency_limit_ns=limit.limit_ns,
        below=len(stand.below),
        above=len(stand.above),
        undecided=len(stand.undecided),
    )
