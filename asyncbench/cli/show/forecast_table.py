"""Memory that the cells of a sweep would take: a table whose colours are a map of what fits."""

from __future__ import annotations

from collections.abc import Iterator

from rich.table import Table
from rich.text import Text

from asyncbench.sweep.config import SweepConfig
from asyncbench.units import counted, format_size
from asyncbench.wire.messages import CellForecast, Forecasts

_FITS, _SHARED, _NO_FIT = "green", "yellow", "red"


def forecast_table(forecasts: Forecasts, config: SweepConfig) -> Table:
    """Return a row per batch and a column per concurrency: what all lanes of a cell take.

    `(10)` behind it: that many of its lanes fit, and the workers would take turns on them. `too large`: not one.
    """
    found = {(each.cell.batch, each.cell.concurrency): each for each in forecasts.cells}
    table = Table(box=None, pad_edge=False)
    table.add_column("batch", justify="right", style="bold")
    for concurrency in config.concurrency:
        table.add_column(f"c={concurrency}", justify="right", min_width=7)
    for batch in config.batch:
        table.add_row(str(batch), *(_cell(found[batch, each], forecasts) for each in config.concurrency))
    return table


def forecast_lines(forecasts: Forecasts) -> Iterator[str]:
    """Return what there is of memory, and how many cells fit into it."""
    if forecasts.available_device_bytes is not None:
        yield (
            f"device memory: {format_size(forecasts.available_device_bytes)} for lanes, "
            f"beside {format_size(forecasts.engine_device_bytes)} of the engine"
        )
    if forecasts.available_host_bytes is not None:
        yield f"host memory: {format_size(forecasts.available_host_bytes)} for lanes"
    whole = sum(each.lanes == each.cell.concurrency for each in forecasts.cells)
    none = sum(not each.lanes for each in forecasts.cells)
    shared = len(forecasts.cells) - whole - none
    parts = (
        f"{whole} of {counted(len(forecasts.cells), 'cell')} {'fits' if len(forecasts.cells) == 1 else 'fit'}",
        *([f"{shared} on fewer lanes than asked for"] if shared else ()),
        *([f"{none} not at all"] if none else ()),
    )
    yield ", ".join(parts)
    if shared:
        yield "(2): so many lanes of the cell fit, and its inferences take turns on them"


def _cell(forecast: CellForecast, forecasts: Forecasts) -> Text:
    # On a CPU there is only the host's memory; beside a device's it is hardly ever what is short.
    has_device = forecasts.available_device_bytes is not None
    size = format_size(forecast.device_bytes if has_device else forecast.host_bytes)
    if not forecast.lanes:
        return Text(f"{size} too large", style=_NO_FIT)
    if forecast.lanes < forecast.cell.concurrency:
        return Text(f"{size} ({forecast.lanes})", style=_SHARED)
    return Text(size, style=_FITS)
