"""The end of a sweep, for people: the best cells, the knee, what did not work, and where the records are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from asyncbench.cli.show.latency_limit import latency_limit_lines
from asyncbench.cli.show.text import percentile_text, throughput_text
from asyncbench.measurement.status import Status
from asyncbench.results.record import BestCell, CellRecord, HeaderRecord, TrailerRecord
from asyncbench.units import format_duration

CELLS_NAMED = 8
# Codes of reasons that a longer window does away with.
_LONGER_HELPS = frozenset({"time_limit", "out_of_reach", "few_per_lane"})


def summary_lines(header: HeaderRecord, records: Mapping[int, CellRecord], trailer: TrailerRecord) -> list[str]:
    """Return what failed, and then the summary, one line each."""
    lines = [*_failures(records), _counts(trailer, header.cells)]
    lines += _best("best throughput", trailer.best_throughput, records)
    lines += latency_limit_lines(records.values(), trailer)
    lines += _best("knee (95 % of best)", trailer.knee, records)
    lines += _imprecise(records)
    lines.append(_runner_cost(header, records))
    return lines


def _counts(trailer: TrailerRecord, total: int) -> str:
    counts = ", ".join(f"{count} {status}" for status, count in trailer.status_counts.items() if count)
    recorded = sum(trailer.status_counts.values())
    return f"{recorded} of {total} cells in {format_duration(trailer.duration_ns)}: {counts}"


def _best(label: str, best: BestCell | None, records: Mapping[int, CellRecord]) -> list[str]:
    if best is None:
        return []
    service = records[best.index].latency.service
    where = f"{best.precision} batch={best.batch} concurrency={best.concurrency}"
    latency = f"{percentile_text(service, 'p50')}, {percentile_text(service, 'p99')}"
    return [f"{label + ':':<22} {throughput_text(best.throughput_items_s):>8} items/s at {where}; {latency}"]


def _imprecise(records: Mapping[int, CellRecord]) -> list[str]:
    """Return why cells are imprecise, in the words of the last of them, and whether a longer window would help."""
    reasons = [record.reasons[0] for record in records.values() if record.status is Status.IMPRECISE and record.reasons]
    if not reasons:
        return []
    count = f"{len(reasons)} cell{'s' if len(reasons) > 1 else ''}"
    longer = "; --duration measures longer" if any(reason.code in _LONGER_HELPS for reason in reasons) else ""
    last = "" if len(reasons) == 1 else "The last: "
    return [f"{'imprecise:':<22} {count}{longer}. {last}{reasons[-1].text}"]


def _runner_cost(header: HeaderRecord, records: Mapping[int, CellRecord]) -> str:
    """Return what the runner costs: on a lane that does nothing, and between the inferences of these cells."""
    costs = (f"{driver} {format_duration(cost)}" for driver, cost in header.runner_cost_ns.items() if cost is not None)
    line = f"{'runner cost:':<22} {', '.join(costs)} per inference of an empty lane"
    seen = sorted(each.runner_ns_per_inference for each in records.values() if each.runner_ns_per_inference is not None)
    if not seen:
        return line
    least, most = format_duration(seen[0]), format_duration(seen[-1])
    return f"{line}; between inferences of these cells {least if least == most else f'{least} to {most}'}"


def _failures(records: Mapping[int, CellRecord]) -> list[str]:
    """Return a line for every cell that failed, most of a kind only once."""
    lines: dict[str, list[int]] = {}
    for record in records.values():
        if record.status in (Status.ERROR, Status.INVALID) and record.reasons:
            lines.setdefault(f"{record.status}: {record.reasons[0].text}", []).append(record.index)
    return [f"{text} (cells {_shortened(indices)})" for text, indices in lines.items()]


def _shortened(indices: Sequence[int]) -> str:
    more = ", ..." if len(indices) > CELLS_NAMED else ""
    return ", ".join(map(str, indices[:CELLS_NAMED])) + more
