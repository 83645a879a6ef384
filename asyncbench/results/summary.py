"""Summary of a sweep: the fastest cell, the fastest below a latency limit, the knee. Pure.

Only cells with a figure count: measured and imprecise ones. Give the cells of one model, or compare unlike things.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from asyncbench.results.latency import LatencyBlock
from asyncbench.results.latency_limit import WITH_FIGURE, latency_of, sort_by_limit
from asyncbench.results.record import BestCell, BestUnderLimit, CellRecord
from asyncbench.results.status import Status
from asyncbench.sweep.latency_limit import LatencyLimit

# Ours: more than the 2 % by which two runs of one cell may differ, less than what a user would notice.
KNEE_RATIO = 0.95


def count_statuses(cells: Iterable[CellRecord]) -> dict[Status, int]:
    """Return how many cells have each status; all six are there."""
    counts = Counter(cell.status for cell in cells)
    return {status: counts[status] for status in Status}


def best_throughput(cells: Iterable[CellRecord]) -> BestCell | None:
    """Return the cell with the most items per second, None where none has a figure."""
    fastest = max(_with_figure(cells), key=_speed, default=None)
    return None if fastest is None else _best(fastest)


def best_under_latency_limit(cells: Iterable[CellRecord], limit: LatencyLimit) -> BestUnderLimit | None:
    """Return the fastest cell that stays below the limit, None where none is known to; see `latency_limit`."""
    below = [(cell, block.percentiles[limit.percentile]) for cell, block in _below(cells, limit)]
    if not below:
        return None
    cell, value = max(below, key=lambda each: _speed(each[0]))
    return BestUnderLimit(
        index=cell.index,
        model=cell.model,
        device=cell.device,
        precision=cell.precision,
        batch=cell.batch,
        concurrency=cell.concurrency,
        throughput_items_s=_throughput(cell),
        latency_limit_ns=limit.limit_ns,
        percentile=limit.percentile,
        latency_ns=value.value_ns,
        latency_high_ns=value.high_ns,
    )


def _below(cells: Iterable[CellRecord], limit: LatencyLimit) -> Iterator[tuple[CellRecord, LatencyBlock]]:
    for cell in sort_by_limit(_with_figure(cells), limit).below:
        block = latency_of(cell)
        if block is not None:
            yield cell, block


def knee(cells: Iterable[CellRecord]) -> BestCell | None:
    """Return the cell with the fewest items in flight (concurrency x batch) that reaches 95 % of the best throughput.

    Of several, the one with the lowest median latency, then the first of the grid. Beyond it more load buys latency and
    hardly any throughput.

    Source: Jain, "The Art of Computer Systems Performance Analysis" (1991), 3.3: "knee capacity". The 95 % are ours.
    """
    candidates = _with_figure(cells)
    enough = KNEE_RATIO * max(map(_throughput, candidates), default=0.0)
    smallest = min((cell for cell in candidates if _throughput(cell) >= enough), key=_effort, default=None)
    return None if smallest is None else _best(smallest)


def _with_figure(cells: Iterable[CellRecord]) -> list[CellRecord]:
    return [cell for cell in cells if cell.status in WITH_FIGURE and cell.throughput_items_s is not None]


def _throughput(cell: CellRecord) -> float:
    return cell.throughput_items_s or 0.0


def _speed(cell: CellRecord) -> tuple[float, int]:
    return _throughput(cell), -cell.index


def _effort(cell: CellRecord) -> tuple[int, float, int]:
    block = latency_of(cell)
    median = block.percentiles.get("p50") if block else None
    return cell.concurrency * cell.batch, median.value_ns if median else float("inf"), cell.index


def _best(cell: CellRecord) -> BestCell:
    return BestCell(
        index=cell.index,
        model=cell.model,
        device=cell.device,
        precision=cell.precision,
        batch=cell.batch,
        concurrency=cell.concurrency,
        throughput_items_s=_throughput(cell),
    )
