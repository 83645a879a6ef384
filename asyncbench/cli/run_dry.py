"""`--dry-run`: what a sweep would measure, and what of it fits into memory."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from contextlib import closing
from functools import partial
from pathlib import Path

import trio
from rich.console import Console, RenderableType
from rich.measure import Measurement

from asyncbench.cli.log import logging_to
from asyncbench.cli.show.dry_run import dry_run_lines, memory_parts, unknown_memory_line
from asyncbench.cli.stop_signals import until_signal
from asyncbench.errors import AsyncbenchError, BenchProcessDiedError, DoesNotFitError, EngineNotBuiltError, ExitCode
from asyncbench.memory.host.probe import HostMemory
from asyncbench.places import BENCH_COMMAND
from asyncbench.supervisor.bench_client import BenchClient, ReadOom, open_bench
from asyncbench.supervisor.engine_group import EngineGroup
from asyncbench.wire.messages import EngineNotice, ForecastCells, Forecasts, OpenEngine, Progress, Refused, error_of

DRY_RUN = "dry-run"
_WIDEST = 1000

Show = Callable[[RenderableType], None]


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
    with logging_to(log, verbose=verbose, sweep_id=DRY_RUN), closing(HostMemory()) as host_memory:
        code = trio.run(_ask_until_signal, groups, host_memory.read_oom, show)
    if code is ExitCode.INTERRUPTED:
        show("interrupted; nothing was written")
    return code


def _width_of(part: RenderableType, console: Console) -> int:
    return Measurement.get(console, console.options.update_width(_WIDEST), part).maximum


async def _ask_until_signal(groups: Sequence[EngineGroup], read_oom: ReadOom, show: Show) -> ExitCode:
    """Ask for all engines, or until a signal comes; by the end all that was started is gone."""
    refusals = await until_signal(partial(_ask_all, groups, read_oom, show))
    if refusals:
        raise refusals[0]
    return ExitCode.INTERRUPTED if refusals is None else ExitCode.OK


async def _ask_all(groups: Sequence[EngineGroup], read_oom: ReadOom, show: Show) -> list[AsyncbenchError]:
    """Ask for one engine after the other; where the process dies of one, a fresh one is asked for the next.

    Returns:
        What would end the sweep.
    """
    waiting = deque(groups)
    refusals: list[AsyncbenchError] = []
    told: set[str] = set()

    def show_notice(progress: Progress) -> None:
        if isinstance(progress, EngineNotice) and progress.lasting and progress.text not in told:
            told.add(progress.text)
            show(progress.text)

    while waiting:
        async with open_bench(BENCH_COMMAND, read_oom) as bench:
            is_alive = True
            while is_alive and waiting:
                group = waiting.popleft()
                answer = await _ask_or_die(bench, group, show_notice)
                is_alive = not isinstance(answer, BenchProcessDiedError)
                if isinstance(answer, AsyncbenchError) and _ends_the_sweep(answer):
                    refusals.append(answer)
                    if len(groups) == 1:
                        continue  # the error itself says it all
                for part in _parts(group, answer):
                    show(part)
    return refusals


def _parts(group: EngineGroup, answer: Forecasts | AsyncbenchError) -> Sequence[RenderableType]:
    if isinstance(answer, AsyncbenchError):
        return [unknown_memory_line(group, str(answer))]
    return memory_parts(group, answer)


def _ends_the_sweep(error: AsyncbenchError) -> bool:
    """Whether the sweep would end before its first cell.

    It records what does not fit, builds what is not built, and tries again after a death.
    """
    return not isinstance(error, DoesNotFitError | EngineNotBuiltError | BenchProcessDiedError)


async def _ask_or_die(
    bench: BenchClient, group: EngineGroup, on_progress: Callable[[Progress], None]
) -> Forecasts | AsyncbenchError:
    """Return what is known of one engine, or why that is nothing."""
    try:
        return await _ask(bench, group, on_progress)
    except AsyncbenchError as error:
        return error
    except trio.Cancelled:
        # There is nothing in it to drain: it need not get the time to end by itself.
        bench.kill()
        raise


async def _ask(bench: BenchClient, group: EngineGroup, on_progress: Callable[[Progress], None]) -> Forecasts:
    """Open an engine and return what its cells would take.

    Raises:
        BenchProcessDiedError: The process ended, or said something that is no answer.
        AsyncbenchError: The engine is refused.
    """
    request = OpenEngine(
        sweep_id=DRY_RUN,
        config=group.config,
        precision=group.precision,
        device=group.device,
        may_build=False,
        flags=group.flags,
    )
    answer = await bench.ask(request, on_progress=on_progress)
    if not isinstance(answer, Refused):
        answer = await bench.ask(ForecastCells(), on_progress=on_progress)
    if isinstance(answer, Refused):
        raise error_of(answer)
    if not isinstance(answer, Forecasts):
        raise BenchProcessDiedError(f"the bench process answered with {type(answer).__name__}")
    return answer
