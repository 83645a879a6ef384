"""The surface: items per second by batch and concurrency, as far as it is known."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rich.style import Style
from rich.table import Table
from rich.text import Text

from asyncbench.cli.show.text import throughput_text
from asyncbench.results.record import CellRecord
from asyncbench.results.status import Status

_MARKS = {
    Status.DOES_NOT_FIT: "too large",
    Status.ERROR: "error",
    Status.INVALID: "invalid",
    Status.INTERRUPTED: "stopped",
}
# From slow to fast, readable on dark and light terminals alike.
_SHADES = ("grey50", "steel_blue", "dark_cyan", "green4", "green3")
_SHADE_FROM = (0.0, 0.5, 0.7, 0.85, 0.95)

Point = tuple[int, int]


def surface_table(
    records: Mapping[Point, CellRecord],
    *,
    batches: Sequence[int],
    concurrencies: Sequence[int],
    running: Point | None,
    title: str,
) -> Table:
    """Return the table: a row per batch, a column per concurrency. Colours say how close to the best a cell is.

    Args:
        records: By `(batch, concurrency)`.
        running: The cell being measured now.
    """
    best = max((record.throughput_items_s or 0.0 for record in records.values()), default=0.0)
    table = Table(title=title, title_justify="left", box=None, pad_edge=False)
    table.add_column("batch", justify="right", style="bold")
    for concurrency in concurrencies:
        table.add_column(f"c={concurrency}", justify="right", min_width=7)
    for batch in batches:
        points = ((batch, concurrency) for concurrency in concurrencies)
        table.add_row(str(batch), *(_cell(records.get(point), best, running=point == running) for point in points))
    return table


def _cell(record: CellRecord | None, best: float, *, running: bool) -> Text:
    if running:
        return Text("···", style="bold yellow")
    if record is None:
        return Text("")
    if mark := _MARKS.get(record.status):
        return Text(mark, style="red")
    return Text(throughput_text(record.throughput_items_s), style=shade(record.throughput_items_s or 0.0, best))


def shade(value: float, best: float) -> Style:
    """Return the colour for a value among those up to `best`."""
    ratio = value / best if best else 0.0
    step = sum(ratio >= start for start in _SHADE_FROM) - 1
    return Style.parse(_SHADES[max(0, step)])
