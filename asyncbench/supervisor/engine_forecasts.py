"""Forecasts of the engines of a sweep, for a dry run: nothing is measured, built or written."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Final

import trio

from asyncbench.errors import AsyncbenchError, BenchProcessDiedError, DoesNotFitError, EngineNotBuiltError
from asyncbench.places import BENCH_COMMAND
from asyncbench.supervisor.bench_client import BenchClient, ReadOom, open_bench
from asyncbench.supervisor.engine_group import EngineGroup
from asyncbench.wire.messages import (
    EngineNotice,
    EngineOpened,
    ForecastCells,
    Forecasts,
    OpenEngine,
    Progress,
    Refused,
    error_of,
)

DRY_RUN: Final = "dry-run"


async def forecast_engines(
    groups: Sequence[EngineGroup],
    read_oom: ReadOom,
    *,
    on_answer: Callable[[EngineGroup, Forecasts | AsyncbenchError], None],
    on_notice: Callable[[str], None],
) -> list[AsyncbenchError]:
    """Ask for one engine after the other; where the process dies of one, a fresh one is asked for the next.

    Args:
        on_answer: Takes what the cells of an engine would take, or why that is not known.
        on_notice: Takes a line for people; each once.

    Returns:
        What would end the sweep before its first cell.
    """
    waiting = deque(groups)
    refusals: list[AsyncbenchError] = []
    noticed: set[str] = set()

    def show_notice(progress: Progress) -> None:
        if isinstance(progress, EngineNotice) and progress.lasting and progress.text not in noticed:
            noticed.add(progress.text)
            on_notice(progress.text)

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
                on_answer(group, answer)
    return refusals


def _ends_the_sweep(error: AsyncbenchError) -> bool:
    """Return whether the sweep would end before its first cell.

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
    opened = await bench.ask(request, EngineOpened, on_progress=on_progress)
    if isinstance(opened, Refused):
        raise error_of(opened)
    forecasts = await bench.ask(ForecastCells(), Forecasts, on_progress=on_progress)
    if isinstance(forecasts, Refused):
        raise error_of(forecasts)
    return forecasts
