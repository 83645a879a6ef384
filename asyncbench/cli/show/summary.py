"""The end of a sweep, for people: the best cells, the knee, what did not work, and where the records are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from asyncbench.cli.show.text import percentile_text, point_text, throughput_text, told_apart_by
from asyncbench.errors import ExitCode
from asyncbench.measurement.status import Status
from asyncbench.results.record import BestCell, CellRecord, HeaderRecord, TrailerRecord
from asyncbench.runner.trailer import make_trailer
from asyncbench.sweep.config import check_config
from asyncbench.units import counted, format_duration

CELLS_NAMED = 8


def summary_lines(header: HeaderRecord, records: Mapping[int, CellRecord], trailer: TrailerRecord) -> list[str]:
    """Return what failed, and then the summary, one line each."""
    lines = [*_failures(records, header.cells), _counts(trailer, header.cells)]
    for each in _trailers(header, records, trailer):
        lines += _stand_out(each, records)
    return [*lines, *_imprecise(records), *_runner_cost(header)]


def _trailers(
    header: HeaderRecord, records: Mapping[int, CellRecord], trailer: TrailerRecord
) -> Sequence[TrailerRecord]:
    """Return the trailer, or one for each model where there are several: their items are different items."""
    models = list(dict.fromkeys(record.model for record in records.values()))
    if len(models) < 2:  # noqa: PLR2004 # several
        return [trailer]
    configs = (check_config(config, source="") for config in header.config)
    limits = {config.model_label: config.latency_limit_ns for config in configs}
    return [
        make_trailer(
            [record for record in records.values() if record.model == model],
            sweep_id=trailer.sweep_id,
            exit_code=ExitCode(trailer.exit_code),
            duration_ns=trailer.duration_ns,
            latency_limit_ns=limits.get(model),
        )
        for model in models
    ]


def _stand_out(trailer: TrailerRecord, records: Mapping[int, CellRecord]) -> list[str]:
    lines = _best("best throughput", trailer.best_throughput, records)
    limited = trailer.best_under_latency_limit
    if limited is not None:
        label = f"best with {limited.percentile} <= {format_duration(limited.latency_limit_ns)}"
        lines += _best(label, limited, records)
    return lines + _best("knee (95 % of best)", trailer.knee, records)


def _counts(trailer: TrailerRecord, total: int) -> str:
    counts = ", ".join(f"{count} {status}" for status, count in trailer.status_counts.items() if count)
    recorded = sum(trailer.status_counts.values())
    return f"{recorded} of {counted(total, 'cell')} in {format_duration(trailer.duration_ns)}: {counts}"


def _best(label: str, best: BestCell | None, records: Mapping[int, CellRecord]) -> list[str]:
    if best is None:
        return []
    service = records[best.index].latency.service
    axes = f"batch={best.batch} concurrency={best.concurrency}"
    where = point_text(best, axes=axes, named=told_apart_by(records.values()))
    latency = f"p50 {percentile_text(service, 'p50')}, p99 {percentile_text(service, 'p99')}"
    return [f"{label + ':':<22} {throughput_text(best.throughput_items_s):>8} items/s at {where}; {latency}"]


def _imprecise(records: Mapping[int, CellRecord]) -> list[str]:
    """Return what would make imprecise cells precise, in the words of the last of them."""
    reasons = [record.reasons[0].text for record in records.values() if record.status is Status.IMPRECISE]
    if not reasons:
        return []
    return [f"{'imprecise:':<22} {counted(len(reasons), 'cell')}; --duration measures longer. The last: {reasons[-1]}"]


def _runner_cost(header: HeaderRecord) -> list[str]:
    costs = [f"{driver} {format_duration(cost)}" for driver, cost in header.runner_cost_ns.items() if cost is not None]
    return [f"{'runner cost:':<22} {', '.join(costs)} per inference of an empty lane"] if costs else []


def _failures(records: Mapping[int, CellRecord], total: int) -> list[str]:
    """Return a line for every cell that failed, most of a kind only once; cells are numbered as while they ran."""
    lines: dict[str, list[int]] = {}
    for record in records.values():
        if record.status in (Status.ERROR, Status.INVALID) and record.reasons:
            lines.setdefault(f"{record.status}: {record.reasons[0].text}", []).append(record.index + 1)
    return [f"{text} ({_cells_text(numbers)} of {total})" for text, numbers in lines.items()]


def _cells_text(numbers: Sequence[int]) -> str:
    more = ", ..." if len(numbers) > CELLS_NAMED else ""
    return f"cell{'s' if len(numbers) > 1 else ''} {', '.join(map(str, numbers[:CELLS_NAMED]))}{more}"
