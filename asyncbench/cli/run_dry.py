"""`--dry-run`: what a sweep would measure, and what of it fits into memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import TypeAlias

import structlog
import trio
from rich.console import Console, RenderableType
from rich.measure import Measurement

from asyncbench.cli.log import logging_to
from asyncbench.cli.show.dry_run import dry_run_lines, memory_parts, unknown_memory_line
from asyncbench.cli.stop_signals import until_signal
from asyncbench.errors import AsyncbenchError, ExitCode
from asyncbench.memory.host.probe import HostMemory
from asyncbench.supervisor.bench_client import ReadOom
from asyncbench.supervisor.engine_forecasts import DRY_RUN, forecast_engines
from asyncbench.supervisor.engine_group import EngineGroup
from asyncbench.wire.messages import Forecasts

_WIDEST = 1000

Show: TypeAlias = Callable[[RenderableType], None]


def run_dry(groups: Sequence[EngineGroup], console: Console, *, log: Path | None, verbose: bool) -> ExitCode:
    """Print the plan, and of each engine, once it is known, a table of its cells' memory, or why that is not known.

    Nothing is measured, built or written. A signal ends it; what was printed by then stays.

    Raises:
        AsyncbenchError: An engine is refused for what would end the sweep, too. All the others were asked for.
    """

    def show(part: RenderableType) -> None:
        if not console.is_terminal and not isinstance(part, str):
            console.width = max(console.width, _width_of(part, console))  # a pipe has none: a table gets what it needs
        console.print(part, highlight=False, markup=False, soft_wrap=isinstance(part, str))

    for line in dry_run_lines(groups):
        show(line)
    with (
        logging_to(log, verbose=verbose),
        structlog.contextvars.bound_contextvars(sweep_id=DRY_RUN),
        closing(HostMemory()) as host_memory,
    ):
        code = trio.run(_ask_until_signal, groups, host_memory.read_oom, show)
    if code is ExitCode.INTERRUPTED:
        show("interrupted; nothing was written")
    return code


def _width_of(part: RenderableType, console: Console) -> int:
    return Measurement.get(console, console.options.update_width(_WIDEST), part).maximum


async def _ask_until_signal(groups: Sequence[EngineGroup], read_oom: ReadOom, show: Show) -> ExitCode:
    """Ask for all engines, or until a signal comes; by the end all that was started is gone."""

    def show_answer(group: EngineGroup, answer: Forecasts | AsyncbenchError) -> None:
        for part in _parts(group, answer):
            show(part)

    ask = partial(forecast_engines, groups, read_oom, on_answer=show_answer, on_notice=show)
    refusals = await until_signal(ask)
    if refusals:
        raise refusals[0]
    return ExitCode.INTERRUPTED if refusals is None else ExitCode.OK


def _parts(group: EngineGroup, answer: Forecasts | AsyncbenchError) -> Sequence[RenderableType]:
    if isinstance(answer, AsyncbenchError):
        return [unknown_memory_line(group, str(answer))]
    return memory_parts(group, answer)
