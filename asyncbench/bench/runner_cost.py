"""Cost of the runner itself: inferences of a lane that does nothing, by either driver."""

from __future__ import annotations

from functools import partial

import trio

from asyncbench.backends.base import Engine, Lane
from asyncbench.bench.load.closed_loop import ClosedLoop
from asyncbench.measurement.stamps import Completions
from asyncbench.sweep.cell import Driver

# Ten thousand inferences by either driver, and no more: every engine that is opened waits for it.
WARM_S = 0.02
MEASURED_S = 0.1


class _Spans:
    """Sum of the unbroken stretches of inferences: those that were collected at once ran back to back."""

    def __init__(self) -> None:
        self.count = 0
        self.total_ns = 0

    def record(self, done: Completions, _worker: int) -> None:
        """Count one stretch."""
        self.count += len(done)
        self.total_ns += int(done.completed_at_ns[-1] - done.issued_at_ns[0])


async def runner_cost_ns(engine: Engine) -> dict[str, float | None]:
    """Return the nanoseconds that one empty inference takes, from its issue to the next, by driver."""
    async with engine.open_empty_lane() as lane:
        return {str(driver): await _cost_ns(lane, driver) for driver in Driver}


async def _cost_ns(lane: Lane, driver: Driver) -> float | None:
    await _run(lane, driver, WARM_S)
    spans = await _run(lane, driver, MEASURED_S)
    return spans.total_ns / spans.count if spans.count else None


async def _run(lane: Lane, driver: Driver, duration_s: float) -> _Spans:
    spans = _Spans()
    loop = ClosedLoop([lane], concurrency=1, driver=driver, record=spans.record)
    await loop.run(partial(trio.sleep, duration_s))
    return spans
