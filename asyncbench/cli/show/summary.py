"""The end of a sweep, for people: the best cells, the knee, what did not work, and where the records are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from asyncbench.cli.show.latency_limit import latency_limit_lines
from asyncbench.cli.show.text import percentile_text, point_text, throughput_text, varying_keys
from asyncbench.errors import ExitCode
from asyncbench.results.record import BestCell, CellRecord, HeaderRecord, TrailerRecord
from asyncbench.results.status import ReasonCode, Status
from asyncbench.supervisor.trailer import make_trailer
from asyncbench.sweep.loading import load_header
from asyncbench.units import counted, format_duration

CELLS_NAMED = 8
# Codes of reasons that a longer window does away with.
_LONGER_HELPS = frozenset({ReasonCode.TIME_LIMIT, ReasonCode.OUT_OF_REACH, ReasonCode.FEW_PER_LANE})
_ABOUT_OUTPUTS = frozenset({ReasonCode.NOT_FINITE_OUTPUTS, ReasonCode.RANDOM_OUTPUTS})


def summary_lines(header: HeaderRecord, records: Mapping[int, CellRecord], trailer: TrailerRecord) -> list[str]:
    """Return what failed, and then the summary, one line each."""
    lines = [*_failures(records, header.cells), _counts(trailer, header.cells)]
    for of_model, cells in _by_model(header, records, trailer):
        lines += _stand_out(of_model, cells, records)
    return [*lines, *_imprecise(records), *_of_outputs(records), *_runner_cost(header, records)]


def _by_model(
    header: HeaderRecord, records: Mapping[int, CellRecord], trailer: TrailerRecord
) -> Sequence[tuple[TrailerRecord, Sequence[CellRecord]]]:
    """Return the trailer and all cells, or those of each model where there are several: their items are other items."""
    models = list(dict.fromkeys(record.model for record in records.values()))
    if len(models) < 2:  # noqa: PLR2004 # several
        return [(trailer, list(records.values()))]
    configs = (load_header(config) for config in header.config)
    limits = {config.model_label: config.latency_limit for config in configs}
    cells_of = {model: [record for record in records.values() if record.model == model] for model in models}
    return [
        (
            make_trailer(
                cells,
                sweep_id=trailer.sweep_id,
                exit_code=ExitCode(trailer.exit_code),
                duration_ns=trailer.duration_ns,
                latency_limit=limits.get(model),
            ),
            cells,
        )
        for model, cells in cells_of.items()
    ]


def _stand_out(trailer: TrailerRecord, cells: Sequence[CellRecord], records: Mapping[int, CellRecord]) -> Sequence[str]:
    return [
        *_best("best throughput", trailer.best_throughput, records),
        *latency_limit_lines(cells, trailer, named=varying_keys(records.values())),
        *_best("knee (95 % of best)", trailer.knee, records),
    ]


def _counts(trailer: TrailerRecord, total: int) -> str:
    counts = ", ".join(f"{count} {status}" for status, count in trailer.status_counts.items() if count)
    recorded = sum(trailer.status_counts.values())
    return f"{recorded} of {counted(total, 'cell')} in {format_duration(trailer.duration_ns)}: {counts}"


def _best(label: str, best: BestCell | None, records: Mapping[int, CellRecord]) -> list[str]:
    if best is None:
        return []
    service = records[best.index].latency.service
    axes = f"batch={best.batch} concurrency={best.concurrency}"
    where = point_text(records[best.index], axes=axes, named=varying_keys(records.values()))
    latency = f"{percentile_text(service, 'p50')}, {percentile_text(service, 'p99')}"
    return [f"{label + ':':<22} {throughput_text(best.throughput_items_s):>8} items/s at {where}; {latency}"]


def _imprecise(records: Mapping[int, CellRecord]) -> list[str]:
    """Return why cells are imprecise, in the words of the last of them, and whether a longer window would help."""
    reasons = [record.reasons[0] for record in records.values() if record.status is Status.IMPRECISE and record.reasons]
    if not reasons:
        return []
    count = counted(len(reasons), "cell")
    longer = "; --duration measures longer" if any(reason.code in _LONGER_HELPS for reason in reasons) else ""
    last = "" if len(reasons) == 1 else "The last: "
    return [f"{'imprecise:':<22} {count}{longer}. {last}{reasons[-1].text}"]


def _of_outputs(records: Mapping[int, CellRecord]) -> list[str]:
    """Return what a reader must know of the outputs, once each: it is much the same in all cells of a network."""
    found = {
        (record.model, reason.code): reason.text
        for record in records.values()
        for reason in record.reasons
        if reason.code in _ABOUT_OUTPUTS
    }
    return [f"{'outputs:':<22} {model}: {text}" for (model, _), text in found.items()]


def _runner_cost(header: HeaderRecord, records: Mapping[int, CellRecord]) -> list[str]:
    """Return what the runner costs: on a lane that does nothing, and between the inferences of these cells."""
    costs = [f"{driver} {format_duration(cost)}" for driver, cost in header.runner_cost_ns.items() if cost is not None]
    parts = [f"{', '.join(costs)} per inference of an empty lane"] if costs else []
    seen = sorted(each.runner_ns_per_inference for each in records.values() if each.runner_ns_per_inference is not None)
    if seen:
        least, most = format_duration(seen[0]), format_duration(seen[-1])
        parts.append(f"between inferences of these cells {least if least == most else f'{least} to {most}'}")
    return [f"{'runner cost:':<22} {'; '.join(parts)}"] if parts else []


def _failures(records: Mapping[int, CellRecord], total: int) -> list[str]:
    """Return a line for every cell that failed, most of a kind only once; cells are numbered as while they ran."""
    lines: dict[str, list[int]] = {}
    for record in records.values():
        if record.status in (Status.ERROR, Status.INVALID) and record.reasons:
            lines.setdefault(f"{record.status}: {record.reasons[0].text}", []).append(record.index + 1)
    return [f"{text} ({_cells_text(numbers)} of {total})" for text, numbers in lines.items()]


def _cells_text(numbers: Sequence[int]) -> str:
    """Return `cell 3`, `cells 1, 2`, `cells 1 to 128, 130`; of many that are apart the first, and how many more."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    named, left = runs[:CELLS_NAMED], sum(map(len, runs[CELLS_NAMED:]))
    more = f" and {left} more" if left else ""
    return f"cell{'s' if len(numbers) > 1 else ''} {', '.join(map(_run_text, named))}{more}"


def _run_text(run: Sequence[int]) -> str:
    """Return numbers that follow each other: `4`, `4, 5`, `4 to 6`."""
    return f"{run[0]} to {run[-1]}" if run[-1] - run[0] > 1 else ", ".join(map(str, run))
