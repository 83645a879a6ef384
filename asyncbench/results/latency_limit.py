"""Cells by a latency limit: those that stay below, those that do not, and those that are undecided. Pure.

Only the percentile that was asked for counts, and of its 95 % interval the end that speaks against the answer: a cell
stays below where the whole interval does, and above where the whole interval is. The latency is `response` where it
was measured (what a user waits, with the wait for a lane), else `service`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from asyncbench.results.latency import LatencyBlock, PercentileValue
from asyncbench.results.record import CellRecord
from asyncbench.results.status import Status
from asyncbench.sweep.latency_limit import LatencyLimit
from asyncbench.text_enum import TextEnum

WITH_FIGURE = (Status.MEASURED, Status.IMPRECISE)
_DOUBT = 0.025  # as much as the 95 % interval leaves on either side


class Standing(TextEnum):
    """Standing of a cell to a limit."""

    BELOW = "below"
    ABOVE = "above"
    UNDECIDED = "undecided"


@dataclass(frozen=True, slots=True, kw_only=True)
class Undecided:
    """A cell whose figures do not decide it, and what would.

    Attributes:
        more_inferences: What the percentile lacks; None where it is there, and its interval holds the limit.
        window_ns: How long the window would have to be; None where no length helps: the value is the limit.
    """

    cell: CellRecord
    more_inferences: int | None
    window_ns: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitedCells:
    """The cells of one model that have a latency, by how they stand to a limit."""

    below: Sequence[CellRecord]
    above: Sequence[CellRecord]
    undecided: Sequence[Undecided]


def sort_by_limit(cells: Iterable[CellRecord], limit: LatencyLimit) -> LimitedCells:
    """Return how measured and imprecise cells stand to the limit."""
    with_latency = [cell for cell in cells if cell.status in WITH_FIGURE and latency_of(cell) is not None]
    standing = [(cell, standing_of(cell, limit)) for cell in with_latency]
    return LimitedCells(
        below=[cell for cell, stands in standing if stands is Standing.BELOW],
        above=[cell for cell, stands in standing if stands is Standing.ABOVE],
        undecided=[_undecided(cell, limit) for cell, stands in standing if stands is Standing.UNDECIDED],
    )


def standing_of(cell: CellRecord, limit: LatencyLimit) -> Standing:
    """Return how a cell stands to the limit."""
    block = latency_of(cell)
    if block is None:
        return Standing.UNDECIDED
    found = block.percentiles.get(limit.percentile)
    if found is not None and found.high_ns <= limit.limit_ns:
        return Standing.BELOW
    if _surely_above(block, limit):
        return Standing.ABOVE
    return Standing.UNDECIDED


def latency_of(cell: CellRecord) -> LatencyBlock | None:
    """Return the latency that counts against a limit: what the user waits."""
    return cell.latency.response or cell.latency.service


def _surely_above(block: LatencyBlock, limit: LatencyLimit) -> bool:
    """Return whether the percentile lies above the limit; a lower one that does, or every inference, shows it too."""
    up_to = [value for name, value in block.percentiles.items() if percent(name) <= percent(limit.percentile)]
    all_longer = block.min_ns > limit.limit_ns and (1 - limit.ratio) ** block.n <= _DOUBT
    return all_longer or any(value.low_ns > limit.limit_ns for value in up_to)


def _undecided(cell: CellRecord, limit: LatencyLimit) -> Undecided:
    block, window_ns = latency_of(cell), cell.window_ns
    if block is None or not window_ns or not block.n:
        return Undecided(cell=cell, more_inferences=None, window_ns=None)
    found = block.percentiles.get(limit.percentile)
    if found is not None:
        factor = _needed_factor(found, limit)
        return Undecided(cell=cell, more_inferences=None, window_ns=None if factor is None else window_ns * factor)
    missing = block.missing.get(limit.percentile)
    more = missing.needs_more if missing is not None else 1
    return Undecided(cell=cell, more_inferences=more, window_ns=window_ns * (block.n + more) / block.n)


def _needed_factor(found: PercentileValue, limit: LatencyLimit) -> float | None:
    """Return how many times longer a window would leave the limit outside of the interval, as 1 / sqrt(n) goes."""
    distance_ns = limit.limit_ns - found.value_ns
    if not distance_ns:
        return None
    half_ns = found.high_ns - found.value_ns if distance_ns > 0 else found.value_ns - found.low_ns
    return max(1.0, half_ns / abs(distance_ns)) ** 2


def percent(name: str) -> float:
    """Return 99.9 of `p99.9`."""
    return float(name.removeprefix("p"))
