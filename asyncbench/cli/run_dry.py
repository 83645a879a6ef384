"""`--dry-run`: what a sweep would measure, and what of it fits into memory."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from contextlib import closing

import trio
from rich.console import Console, RenderableType
from rich.measure import Measurement

from asyncbench.cli.log import logging_to
from asyncbench.cli.places import BENCH_COMMAND
from asyncbench.cli.show.dry_run import dry_run_lines, memory_parts, unknown_memory_line
from asyncbench.cli.stop_signals import open_stop_signals
from asyncbench.errors import BenchProcessDiedError, ExitCode
from asyncbench.host_memory.probe import HostMemory
from asyncbench.runner.bench_handle import BenchHandle, ReadOom, open_bench
from asyncbench.runner.engine_group import EngineGroup
from asyncbench.runner.messages import ForecastCells, Forecasts, OpenEngine, Refused

DRY_RUN = "dry-run"
_WIDEST = 1000

Show = Callable[[RenderableType], None]


def run_dry(groups: Sequence[EngineGroup], console: Console) -> ExitCode:
    """Print the plan, and of each engine, once it is known, a table of its cells' memory, or why that is not known.

    Nothing is measured, built or written. A signal ends it; what was printed by then stays.
    """

    def show(part: RenderableType) -> None:
        if not console.is_terminal and not isinstance(part, str):
            console.width = max(console.width, _width_of(part, console))  # a pipe has none: a table gets what it needs
        console.print(part, highlight=False, markup=False, soft_wrap=isinstance(part, str))

    for line in dry_run_lines(groups):
        show(line)
    with logging_to(None, verbose=False, sweep_id=DRY_RUN), closing(HostMemory()) as host_memory:
        code = trio.run(_ask_until_signal, groups, host_memory.read_oom, show)
    if code is ExitCode.INTERRUPTED:
        show("interrupted; nothing was written")
    return code


def _width_of(part: RenderableType, console: Console) -> int:
    return Measurement.get(console, console.options.update_width(_WIDEST), part).maximum


async def _ask_until_signal(groups: Sequence[EngineGroup], read_oom: ReadOom, show: Show) -> ExitCode:
    """Ask for all engines, or until a signal comes; by the end all that was started is gone."""
    code = ExitCode.INTERRUPTED
    with open_stop_signals() as signals:
        async with trio.open_nursery() as nursery:

            async def stop_on_signal() -> None:
                await anext(signals)
                nursery.cancel_scope.cancel()

            nursery.start_soon(stop_on_signal)
            await _ask_all(groups, read_oom, show)
            code = ExitCode.OK
            nursery.cancel_scope.cancel()
    return code


async def _ask_all(groups: Sequence[EngineGroup], read_oom: ReadOom, show: Show) -> None:
    """Ask for one engine after the other; where the process dies of one, a fresh one is asked for the next."""
    waiting = deque(groups)
    while waiting:
        async with open_bench(BENCH_COMMAND, read_oom) as bench:
            is_alive = True
            while is_alive and waiting:
                is_alive = await _show_memory(bench, waiting.popleft(), show)


async def _show_memory(bench: BenchHandle, group: EngineGroup, show: Show) -> bool:
    """Show what is known of one engine; False when the process is of no more use."""
    try:
        answer = await _ask(bench, group)
    except BenchProcessDiedError as error:
        show(unknown_memory_line(group, error.message))
        return False
    except trio.Cancelled:
        # There is nothing in it to drain: it need not get the time to end by itself.
        bench.kill()
        raise
    if isinstance(answer, Forecasts):
        for part in memory_parts(group, answer):
            show(part)
    else:
        show(unknown_memory_line(group, answer.message))
    return True


async def _ask(bench: BenchHandle, group: EngineGroup) -> Forecasts | Refused:
    """Open an engine and return what its cells would take.

    Raises:
        BenchProcessDiedError: The process ended, or said something that is no answer.
    """
    request = OpenEngine(
        sweep_id=DRY_RUN, config=group.config, precision=group.precision, device=group.device, may_build=False
    )
    answer = await bench.ask(request, on_progress=lambda _: None)
    if not isinstance(answer, Refused):
        answer = await bench.ask(ForecastCells(), on_progress=lambda _: None)
    if not isinstance(answer, Forecasts | Refused):
        raise BenchProcessDiedError(f"the bench process answered with {type(answer).__name__}")
    return answer
