"""What stands out in a sweep: the fastest cell, the fastest below a latency limit, the knee. Pure.

Only cells with a figure count: measured and imprecise ones. Give the cells of one model, or compare unlike things.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from asyncbench.measurement.status import Status
from asyncbench.results.latency import PercentileValue, percentile_name
from asyncbench.results.record import BestCell, BestUnderLimit, CellRecord

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


def best_under_latency_limit(
    cells: Iterable[CellRecord], limit_ns: int, *, ratio: float = 0.99
) -> BestUnderLimit | None:
    """Return the fastest cell whose latency is at most the limit, None where there is none.

    A cell is judged by its highest percentile at or below `ratio`, because a short window has no p99; the result says
    which one it was. The latency is `response` where it was measured (it includes waiting), else `service`.
    """
    judged = [(cell, *found) for cell in _with_figure(cells) if (found := _percentile_at_most(cell, ratio))]
    below = [each for each in judged if each[2].value_ns <= limit_ns]
    if not below:
        return None
    cell, name, value = max(below, key=lambda each: _speed(each[0]))
    return BestUnderLimit(
        **_best(cell).model_dump(), latency_limit_ns=limit_ns, percentile=name, latency_ns=value.value_ns
    )


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
    with_figure = (Status.MEASURED, Status.IMPRECISE)
    return [cell for cell in cells if cell.status in with_figure and cell.throughput_items_s is not None]


def _throughput(cell: CellRecord) -> float:
    return cell.throughput_items_s or 0.0


def _speed(cell: CellRecord) -> tuple[float, int]:
    return _throughput(cell), -cell.index


def _effort(cell: CellRecord) -> tuple[int, float, int]:
    median = _percentile_at_most(cell, 0.5)
    return cell.concurrency * cell.batch, median[1].value_ns if median else float("inf"), cell.index


def _percentile_at_most(cell: CellRecord, ratio: float) -> tuple[str, PercentileValue] | None:
    block = cell.latency.response or cell.latency.service
    asked = _percent(percentile_name(ratio))
    known = [] if block is None else [item for item in block.percentiles.items() if _percent(item[0]) <= asked]
    return max(known, key=lambda item: _percent(item[0]), default=None)


def _percent(name: str) -> float:
    return float(name.removeprefix("p"))


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
