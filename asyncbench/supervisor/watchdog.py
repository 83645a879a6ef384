"""A watch over a bench process: silent for too long, it is killed."""

from __future__ import annotations

from collections.abc import Callable

import trio

from asyncbench.clock import NS_PER_S
from asyncbench.error_group import own_error_alone
from asyncbench.errors import BenchProcessDiedError
from asyncbench.supervisor.bench_client import BenchClient
from asyncbench.wire.messages import AnswerT, Progress, Refused, Request

# Silence is counted in steps that this process was awake for. One that was stopped together with the bench process
# would else wake up to a deadline that has passed, and kill what was silent for the same reason.
_STEPS = 10


async def ask_with_watchdog(
    bench: BenchClient,
    request: Request,
    expected: type[AnswerT],
    *,
    limit_ns: int,
    on_progress: Callable[[Progress], None],
) -> AnswerT | Refused:
    """Ask, and kill the process when neither progress nor an answer has come for `limit_ns`.

    Raises:
        BenchProcessDiedError: See `BenchClient.ask`; or it was killed.
    """
    limit_s = limit_ns / NS_PER_S
    silent_steps = 0
    answers: list[AnswerT | Refused] = []

    def wind_up(progress: Progress) -> None:
        nonlocal silent_steps
        silent_steps = 0
        on_progress(progress)

    with own_error_alone():
        async with trio.open_nursery() as nursery:

            async def kill_when_silent() -> None:
                nonlocal silent_steps
                while silent_steps < _STEPS:
                    await trio.sleep(limit_s / _STEPS)
                    silent_steps += 1
                nursery.cancel_scope.cancel()

            nursery.start_soon(kill_when_silent)
            answers.append(await bench.ask(request, expected, on_progress=wind_up))
            nursery.cancel_scope.cancel()
    if answers:
        return answers[0]
    bench.kill()
    raise BenchProcessDiedError(f"the bench process was silent for {limit_s:.0f} s and was killed")
