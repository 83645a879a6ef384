"""Lines about a latency limit: the best cell below it, the undecided ones, or that there is none. Pure."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from math import ceil

from asyncbench.cli.show.text import point_text, throughput_text
from asyncbench.clock import NS_PER_S
from asyncbench.results.latency import PercentileValue
from asyncbench.results.latency_limit import LimitedCells, Undecided, latency_of, percent, sort_by_limit
from asyncbench.results.record import CellRecord, TrailerRecord
from asyncbench.results.summary import best_under_latency_limit
from asyncbench.sweep.latency_limit import LatencyLimit
from asyncbench.units import counted, format_duration

# Nobody measures one cell for longer only to see on which side of a limit it lies.
LONGEST_ADVISED_NS = 600 * NS_PER_S
_NAMED = 3
_MARGIN_RATIO = 0.1  # the next window is not exactly as fast as this one was
_COARSE_S = 120  # from here on advice is rounded to ten seconds


def latency_limit_lines(
    cells: Collection[CellRecord], trailer: TrailerRecord, *, named: Collection[str] = ()
) -> list[str]:
    """Return what the summary says of the limit that the trailer names; nothing where none was asked for.

    Args:
        named: What must be named of the best cell beside its precision and axes; see `varying_keys`.
    """
    asked = trailer.latency_limit
    if asked is None:
        return []
    limit = LatencyLimit(percentile=asked.percentile, limit_ns=asked.latency_limit_ns)
    stand = sort_by_limit(cells, limit)
    return [*_best(cells, stand, limit, named), *_undecided(stand.undecided, limit)]


def advised_duration(window_ns: float | None) -> str | None:
    """Return `12s` for `--duration`, a little more than is needed; None where nobody would measure that long."""
    if window_ns is None or window_ns * (1 + _MARGIN_RATIO) > LONGEST_ADVISED_NS:
        return None
    seconds = max(1, ceil(round(window_ns * (1 + _MARGIN_RATIO)) / NS_PER_S))
    return f"{seconds if seconds < _COARSE_S else ceil(seconds / 10) * 10}s"


def _best(cells: Collection[CellRecord], stand: LimitedCells, limit: LatencyLimit, named: Collection[str]) -> list[str]:
    best = best_under_latency_limit(cells, limit)
    if best is None:
        return [_none_below(stand, limit)]
    label = f"best with {limit.percentile} <= {format_duration(limit.limit_ns)}:"
    record = next(each for each in cells if each.index == best.index)
    where = point_text(record, axes=f"batch={best.batch} concurrency={best.concurrency}", named=named)
    latency = f"its {limit.percentile} is {format_duration(best.latency_ns)}"
    sure = f"{format_duration(best.latency_high_ns or best.latency_ns)} at the upper end of its 95 % interval"
    return [f"{label:<22} {throughput_text(best.throughput_items_s):>8} items/s at {where}; {latency}, {sure}"]


def _none_below(stand: LimitedCells, limit: LatencyLimit) -> str:
    text = format_duration(limit.limit_ns)
    all_cells = [*stand.above, *(each.cell for each in stand.undecided)]
    if not all_cells:
        return f"no cell has a latency to hold against {limit.percentile} <= {text}"
    known = "is known to stay" if stand.undecided else "stays"
    return f"no cell {known} below {text}: {_lowest(all_cells, limit)}"


def _lowest(cells: Sequence[CellRecord], limit: LatencyLimit) -> str:
    """Return the lowest latency of the highest percentile that any cell has, up to the one that was asked for."""
    found = [
        (-percent(name), value.value_ns, name, cell)
        for cell in cells
        for name, value in _percentiles(cell).items()
        if percent(name) <= percent(limit.percentile)
    ]
    if not found:
        shortest = min(cells, key=_shortest_ns)
        return f"the shortest inference took {format_duration(_shortest_ns(shortest))} at {_where(shortest)}"
    _, value_ns, name, cell = min(found, key=lambda each: each[:2])
    return f"the lowest {name} is {format_duration(value_ns)} at {_where(cell)}"


def _percentiles(cell: CellRecord) -> dict[str, PercentileValue]:
    block = latency_of(cell)
    return block.percentiles if block else {}


def _shortest_ns(cell: CellRecord) -> int:
    block = latency_of(cell)
    return block.min_ns if block else 0


def _where(cell: CellRecord) -> str:
    return f"batch={cell.batch} concurrency={cell.concurrency}"


def _undecided(undecided: Sequence[Undecided], limit: LatencyLimit) -> list[str]:
    short = [each for each in undecided if each.more_inferences is not None]
    close = [each for each in undecided if each.more_inferences is None]
    return [*_too_short(short, limit), *_too_close(close, limit)]


def _too_short(cells: Sequence[Undecided], limit: LatencyLimit) -> list[str]:
    if not cells:
        return []
    more = max(each.more_inferences or 0 for each in cells)
    up_to = "up to " if len({each.more_inferences for each in cells}) > 1 else ""
    needs = f"{_whose(cells)} {limit.percentile} needs {up_to}{counted(more, 'more inference')}"
    return [f"{_named(cells)}: {needs}; {_what_would_do(cells, limit)}"]


def _too_close(cells: Sequence[Undecided], limit: LatencyLimit) -> list[str]:
    if not cells:
        return []
    reach = (
        f"the 95 % interval of {_whose(cells)} {limit.percentile} reaches from below {format_duration(limit.limit_ns)}"
    )
    return [f"{_named(cells)}: {reach} to above; {_what_would_do(cells, limit)}"]


def _what_would_do(cells: Sequence[Undecided], limit: LatencyLimit) -> str:
    advised = [advised_duration(each.window_ns) for each in cells]
    enough = [each.window_ns for each, advice in zip(cells, advised, strict=True) if advice and each.window_ns]
    if len(enough) == len(cells):
        return f"--duration {advised_duration(max(enough))} would do"
    which = "that" if not enough else f"of {len(cells) - len(enough)} of them that"
    lower = "" if limit.percentile == "p50" else ", or ask for a lower percentile"
    few = "" if not enough else f"; --duration {advised_duration(max(enough))} would do for the others"
    if any(each.more_inferences is not None for each in cells):
        return f"{which} would take more than 10 minutes: leave it{lower}{few}"
    return f"{which} is too close to tell within 10 minutes{few}"


def _named(cells: Sequence[Undecided]) -> str:
    names = ", ".join(f"{each.cell.precision} b={each.cell.batch} c={each.cell.concurrency}" for each in cells[:_NAMED])
    more = f" and {len(cells) - _NAMED} more" if len(cells) > _NAMED else ""
    are = "is" if len(cells) == 1 else "are"
    return f"{counted(len(cells), 'cell')} {are} undecided ({names}{more})"


def _whose(cells: Sequence[Undecided]) -> str:
    return "their" if len(cells) > 1 else "its"
