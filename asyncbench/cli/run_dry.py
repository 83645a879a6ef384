"""`--dry-run`: what a sweep would measure, and what of it fits into memory."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing

import trio
from rich.console import Console, RenderableType
from rich.text import Text

from asyncbench.cli.log import logging_to
from asyncbench.cli.places import BENCH_COMMAND
from asyncbench.cli.show.dry_run import dry_run_lines
from asyncbench.cli.show.forecast_table import forecast_lines, forecast_table
from asyncbench.errors import ExitCode
from asyncbench.host_memory.probe import HostMemory
from asyncbench.runner.bench_handle import BenchHandle, ReadOom, open_bench
from asyncbench.runner.engine_group import EngineGroup
from asyncbench.runner.error_group import own_error_alone
from asyncbench.runner.messages import ForecastCells, Forecasts, OpenEngine, Refused

DRY_RUN = "dry-run"


def run_dry(groups: Sequence[EngineGroup], console: Console) -> ExitCode:
    """Print the plan, and for each engine a table of its cells' memory. Nothing is measured, built or written.

    Raises:
        BenchProcessDiedError: An engine could not even be opened.
    """
    for line in dry_run_lines(groups):
        console.print(line, highlight=False, markup=False, soft_wrap=True)
    with logging_to(None, verbose=False, sweep_id=DRY_RUN), closing(HostMemory()) as host_memory, own_error_alone():
        for part in trio.run(_ask_all, groups, host_memory.read_oom):
            console.print(part, highlight=False, markup=False)
    return ExitCode.OK


async def _ask_all(groups: Sequence[EngineGroup], read_oom: ReadOom) -> list[RenderableType]:
    parts: list[RenderableType] = []
    async with open_bench(BENCH_COMMAND, read_oom) as bench:
        for group in groups:
            parts += await _ask(bench, group)
    return parts


async def _ask(bench: BenchHandle, group: EngineGroup) -> list[RenderableType]:
    name = f"{group.cells[0][1].model} {group.precision} on {group.device}"
    request = OpenEngine(
        sweep_id=DRY_RUN, config=group.config, precision=group.precision, device=group.device, may_build=False
    )
    answer = await bench.ask(request, on_progress=lambda _: None)
    if not isinstance(answer, Refused):
        answer = await bench.ask(ForecastCells(), on_progress=lambda _: None)
    if not isinstance(answer, Forecasts):
        why = answer.message if isinstance(answer, Refused) else "no forecast came"
        return [Text(f"memory of {name} is not known: {why}")]
    return [Text(), forecast_table(answer, group.config, title=f"memory, {name}"), *map(Text, forecast_lines(answer))]
