"""A watch over a bench process: silent for too long, it is killed."""

from __future__ import annotations

from collections.abc import Callable

import trio

from asyncbench.clock import NS_PER_S
from asyncbench.errors import BenchProcessDiedError
from asyncbench.runner.bench_handle import Answer, BenchHandle, Progress
from asyncbench.runner.messages import Message


async def ask_watched(
    bench: BenchHandle, request: Message, *, limit_ns: int, on_progress: Callable[[Progress], None]
) -> Answer:
    """Ask, and kill the process when neither progress nor an answer has come for `limit_ns`.

    Raises:
        BenchProcessDiedError: See `BenchHandle.ask`; or it was killed.
    """
    limit_s = limit_ns / NS_PER_S
    with trio.CancelScope(deadline=trio.current_time() + limit_s) as watch:

        def wind_up(progress: Progress) -> None:
            watch.deadline = trio.current_time() + limit_s
            on_progress(progress)

        return await bench.ask(request, on_progress=wind_up)
    bench.kill()
    raise BenchProcessDiedError(f"the bench process was silent for {limit_s:.0f} s and was killed")
