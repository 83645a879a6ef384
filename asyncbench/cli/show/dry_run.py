"""Plan of a sweep, for people: a dry run."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import RenderableType

from asyncbench.cli.show.forecast_table import forecast_lines, forecast_table
from asyncbench.cli.show.text import engine_text
from asyncbench.supervisor.engine_group import EngineGroup
from asyncbench.sweep.axis import format_axis
from asyncbench.sweep.backends.registry import AUTO_BACKEND
from asyncbench.sweep.load import CLOSED
from asyncbench.units import counted, format_duration
from asyncbench.wire.messages import Forecasts


def dry_run_lines(groups: Sequence[EngineGroup]) -> list[str]:
    """Return a line per engine, and the whole."""
    total = sum(len(group.cells) for group in groups)
    longest_ns = sum(len(group.cells) * _longest_cell_ns(group) for group in groups)
    at_most = f", windows at most {format_duration(longest_ns)}" if longest_ns else ""
    whole = f"{counted(total, 'cell')}, {counted(len(groups), 'engine')}{at_most}; nothing was measured"
    return [*map(_group_line, groups), whole]


def memory_parts(group: EngineGroup, forecasts: Forecasts) -> list[RenderableType]:
    """Return what the cells of one engine would take: an empty line, a title, a table, and lines."""
    title = f"memory, {engine_text(group.cells[0][1])}:"
    return ["", title, forecast_table(forecasts, group.config), *forecast_lines(forecasts)]


def unknown_memory_line(group: EngineGroup, why: str) -> str:
    """Return the line of an engine that cannot be asked."""
    return f"memory of {engine_text(group.cells[0][1])} is not known: {why}"


def _group_line(group: EngineGroup) -> str:
    cell = group.cells[0][1]
    axes = f"batch {format_axis(group.config.batch)} x concurrency {format_axis(group.config.concurrency)}"
    kind = group.config.load.kind
    load = f"{'' if kind == CLOSED else f'load {kind}, '}driver {group.config.driver}, input {group.config.input}"
    backend = group.config.backend
    runtime = "" if backend == AUTO_BACKEND else f" with {backend}"
    return f"{engine_text(cell)}{runtime}: {axes} = {counted(len(group.cells), 'cell')}; {load}"


def _longest_cell_ns(group: EngineGroup) -> int:
    """Return the longest window of a cell; 0 where iterations decide."""
    if group.config.iterations is not None:
        return 0
    return group.config.duration_ns or group.config.stop.max_window_ns
