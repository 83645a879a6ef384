"""Records as short texts. Pure."""

from __future__ import annotations

from asyncbench.measurement.status import Status
from asyncbench.results.accuracy import Accuracy, Metric
from asyncbench.results.latency import LatencyBlock
from asyncbench.results.record import CellRecord
from asyncbench.units import format_duration


def throughput_text(items_s: float | None) -> str:
    """Return `25,825` or `164` or `7.31`, items per second; `-` where there is none."""
    if items_s is None:
        return "-"
    return f"{items_s:,.0f}" if items_s >= 100 else f"{items_s:.3g}"  # noqa: PLR2004 # three digits are enough


def percentile_text(block: LatencyBlock | None, name: str) -> str:
    """Return a percentile, or how many inferences it lacks."""
    if block is None:
        return "-"
    if found := block.percentiles.get(name):
        return format_duration(found.value_ns)
    missing = block.missing.get(name)
    return f"(needs {missing.needs_more:,} more)" if missing else "-"


def precision_text(record: CellRecord) -> str:
    """Return `fp16`, or what a file computes in where nobody asked for that: `fp32 asked, int8 in the graph`.

    A float graph that was made narrower, as was asked, is no surprise.
    """
    asked, in_graph = str(record.precision), record.graph_precision
    return asked if in_graph in (None, asked, "fp32") else f"{asked} asked, {in_graph} in the graph"


def cell_line(record: CellRecord, total: int) -> str:
    """Return one line for people about a cell that ended."""
    service = record.latency.service
    name = f"{precision_text(record)} b={record.batch} c={record.concurrency}"
    parts = [f"[{record.index + 1}/{total}] {name:<16}"]
    if record.throughput_items_s is not None or record.accuracy is None:
        parts[0] += f" {throughput_text(record.throughput_items_s):>8} items/s"
        parts += [f"p50 {percentile_text(service, 'p50')}", f"p99 {percentile_text(service, 'p99')}"]
    parts.append(str(record.status))
    if record.accuracy is not None:
        parts.append(accuracy_text(record.accuracy))
    if record.reasons:
        parts.append(_why(record))
    return "  ".join(parts)


def accuracy_text(accuracy: Accuracy) -> str:
    """Return `top1 100 % (72 to 100), top5 100 % (72 to 100) of 10; drop 0 %`; all of it in percent."""
    metrics = ", ".join(f"{name} {_metric_text(metric)}" for name, metric in accuracy.metrics.items())
    first = next(iter(accuracy.metrics.values()), None)
    drop = "" if first is None or first.drop is None else f"; drop {first.drop * 100:.3g} %"
    left_out = f"; {accuracy.skipped} left out" if accuracy.skipped else ""
    return f"{metrics} of {accuracy.n}{drop}{left_out}"


def _metric_text(metric: Metric) -> str:
    if metric.value is None:
        return "undefined"
    spread = metric.interval
    between = f" ({spread.low * 100:.3g} to {spread.high * 100:.3g})" if spread else ""
    return f"{metric.value * 100:.3g} %{between}"


def _why(record: CellRecord) -> str:
    """Return the whole reason of what went wrong, and a word for what is only less exact: there are many of those."""
    if record.status in (Status.MEASURED, Status.IMPRECISE):
        return f"({', '.join(reason.code for reason in record.reasons)})"
    return record.reasons[0].text
