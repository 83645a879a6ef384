"""Records as short texts. Pure."""

from __future__ import annotations

from collections.abc import Collection

from asyncbench.cli.show.reason_words import reason_words
from asyncbench.models.image_names import shown_name
from asyncbench.results.accuracy import Accuracy, Metric
from asyncbench.results.latency import LatencyBlock
from asyncbench.results.record import CellRecord
from asyncbench.results.status import Status
from asyncbench.sweep.cell import AUTO_DEVICE, Cell
from asyncbench.units import counted, format_duration, format_number


def throughput_text(items_s: float | None) -> str:
    """Return `25,825` or `164` or `7.31`, items per second; `-` where there is none."""
    if items_s is None:
        return "-"
    return f"{items_s:,.0f}" if items_s >= 100 else format_number(items_s)  # noqa: PLR2004 # three digits are enough


def percentile_text(block: LatencyBlock | None, name: str) -> str:
    """Return `p99 6.01 ms`, or how many inferences it lacks: `p99 needs 517 more inferences`."""
    if block is None:
        return f"{name} -"
    if found := block.percentiles.get(name):
        return f"{name} {format_duration(found.value_ns)}"
    missing = block.missing.get(name)
    if missing is None:
        return f"{name} -"
    return f"{name} needs {counted(missing.needs_more, 'more inference')}"


def engine_text(cell: Cell, *, precision: str = "") -> str:
    """Return `resnet50 fp16 on cuda:0`, the device where one was chosen; `precision` in other words than the axis'."""
    return f"{cell.model} {precision or cell.precision}" + ("" if cell.device == AUTO_DEVICE else f" on {cell.device}")


def varying_keys(cells: Collection[Cell] | Collection[CellRecord]) -> frozenset[str]:
    """Return what a line about one of the cells must name beside precision and axes: what not all have in common."""
    return frozenset(key for key in ("model", "device") if len({getattr(cell, key) for cell in cells}) > 1)


def precision_text(record: CellRecord) -> str:
    """Return `fp16`, or what a file computes in where nobody asked for that: `fp32 asked, int8 in the graph`.

    A float graph that was made narrower, as was asked, is no surprise.
    """
    asked, in_graph = str(record.precision), record.graph_precision
    return asked if in_graph in (None, asked, "fp32") else f"{asked} asked, {in_graph} in the graph"


def point_text(record: CellRecord, *, axes: str, named: Collection[str]) -> str:
    """Return `resnet50 fp16 b=1 c=4 on cuda:0`, model and device where they are among `named`."""
    model = f"{record.model} " if "model" in named else ""
    device = f" on {record.device}" if "device" in named else ""
    return f"{model}{precision_text(record)} {axes}{device}"


def cell_line(record: CellRecord, total: int, *, named: Collection[str] = ()) -> str:
    """Return one line for people about a cell that ended."""
    service = record.latency.service
    name = point_text(record, axes=f"b={record.batch} c={record.concurrency}", named=named)
    parts = [f"[{record.index + 1}/{total}] {name:<16}"]
    if record.throughput_items_s is not None or record.accuracy is None:
        parts[0] += f" {throughput_text(record.throughput_items_s):>8} items/s"
        parts += [percentile_text(service, "p50"), percentile_text(service, "p99")]
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
    drop = "" if first is None or first.drop is None else f"; drop {format_number(first.drop * 100)} %"
    return f"{metrics} of {accuracy.n}{drop}{_left_out_text(accuracy)}"


def _left_out_text(accuracy: Accuracy) -> str:
    if not accuracy.skipped_items:
        return ""
    one = accuracy.skipped_items[0]
    such_as = ", such as" if accuracy.skipped > 1 else ":"
    return f"; {accuracy.skipped} left out{such_as} {shown_name(one.name)}: {one.reason}"


def _metric_text(metric: Metric) -> str:
    if metric.value is None:
        return "undefined"
    spread = metric.interval
    between = f" ({format_number(spread.low * 100)} to {format_number(spread.high * 100)})" if spread else ""
    return f"{format_number(metric.value * 100)} %{between}"


def _why(record: CellRecord) -> str:
    """Return the whole reason of what went wrong, and a few words for what is only less exact: the record has more."""
    if record.status in (Status.MEASURED, Status.IMPRECISE):
        return f"({reason_words(record.reasons)})"
    return record.reasons[0].text
