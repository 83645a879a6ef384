"""The end of a sweep, for people: the best cells, the knee, what did not work, and where the records are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from asyncbench.cli.show.text import percentile_text, precision_text, throughput_text
from asyncbench.measurement.status import Status
from asyncbench.results.record import BestCell, CellRecord, HeaderRecord, TrailerRecord
from asyncbench.units import format_duration

CELLS_NAMED = 8
_ABOUT_OUTPUTS = frozenset({"not_finite_outputs", "random_outputs"})


def summary_lines(header: HeaderRecord, records: Mapping[int, CellRecord], trailer: TrailerRecord) -> list[str]:
    """Return what failed, and then the summary, one line each."""
    lines = [*_failures(records), _counts(trailer, header.cells)]
    lines += _best("best throughput", trailer.best_throughput, records)
    limited = trailer.best_under_latency_limit
    if limited is not None:
        label = f"best with {limited.percentile} <= {format_duration(limited.latency_limit_ns)}"
        lines += _best(label, limited, records)
    lines += _best("knee (95 % of best)", trailer.knee, records)
    lines += _imprecise(records)
    lines += _of_outputs(records)
    lines.append(_runner_cost(header))
    return lines


def _counts(trailer: TrailerRecord, total: int) -> str:
    counts = ", ".join(f"{count} {status}" for status, count in trailer.status_counts.items() if count)
    recorded = sum(trailer.status_counts.values())
    return f"{recorded} of {total} cells in {format_duration(trailer.duration_ns)}: {counts}"


def _best(label: str, best: BestCell | None, records: Mapping[int, CellRecord]) -> list[str]:
    if best is None:
        return []
    service = records[best.index].latency.service
    where = f"{precision_text(records[best.index])} batch={best.batch} concurrency={best.concurrency}"
    latency = f"p50 {percentile_text(service, 'p50')}, p99 {percentile_text(service, 'p99')}"
    return [f"{label + ':':<22} {throughput_text(best.throughput_items_s):>8} items/s at {where}; {latency}"]


def _imprecise(records: Mapping[int, CellRecord]) -> list[str]:
    """Return what would make imprecise cells precise, in the words of the last of them."""
    reasons = [record.reasons[0].text for record in records.values() if record.status is Status.IMPRECISE]
    if not reasons:
        return []
    return [f"{'imprecise:':<22} {len(reasons)} cells; --duration measures longer. The last: {reasons[-1]}"]


def _of_outputs(records: Mapping[int, CellRecord]) -> list[str]:
    """Return what a reader must know of the outputs, once each: it is much the same in all cells of a network."""
    found = {
        (record.model, reason.code): reason.text
        for record in records.values()
        for reason in record.reasons
        if reason.code in _ABOUT_OUTPUTS
    }
    return [f"{'outputs:':<22} {model}: {text}" for (model, _), text in found.items()]


def _runner_cost(header: HeaderRecord) -> str:
    costs = (f"{driver} {format_duration(cost)}" for driver, cost in header.runner_cost_ns.items() if cost is not None)
    return f"{'runner cost:':<22} {', '.join(costs)} per inference of an empty lane"


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
