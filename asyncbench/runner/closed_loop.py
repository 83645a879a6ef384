"""The closed loop: on each lane the next inference starts when the last one is done."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

import trio

from asyncbench.backends.base import Lane
from asyncbench.backends.draining import DRAIN_LIMIT_S
from asyncbench.errors import DeviceLostError
from asyncbench.runner.error_group import own_error_alone
from asyncbench.runner.load import Load
from asyncbench.runner.worker import Record, Worker, make_worker
from asyncbench.sweep.cell import Driver


class ClosedLoop:
    """Keeps every lane busy while its body runs, then drains all of them.

    Args:
        lanes: The lanes, each driven by a worker of its own.
        record: Takes what completed; called on the Trio thread, with arrays that are reused afterwards.
        limit: Inferences in total; None for "until the body ends".
    """

    def __init__(self, lanes: Sequence[Lane], *, driver: Driver, record: Record, limit: int | None = None) -> None:
        self._load = Load(workers=len(lanes), limit=limit)
        self._workers: list[Worker] = [make_worker(driver, lane, self._load, record) for lane in lanes]
        self._all_done = trio.Event()
        self._running = len(lanes)

    def flush(self) -> None:
        """Record everything that has completed so far."""
        for worker in self._workers:
            worker.flush()

    async def wait_all_done(self) -> None:
        """Wait until every worker has ended, as they do when the limit is used up."""
        await self._all_done.wait()

    async def run(self, body: Callable[[], Awaitable[None]]) -> None:
        """Run the workers beside `body`; when it returns, stop, drain, and return.

        Raises:
            LaneError: A lane failed; the others were cancelled and are drained by whoever opened them.
            DeviceLostError: A lane did not finish within the drain limit.
        """
        with own_error_alone():
            async with trio.open_nursery() as nursery:
                for worker in self._workers:
                    nursery.start_soon(self._run_worker, worker)
                await body()
                self._stop()
                nursery.cancel_scope.deadline = trio.current_time() + DRAIN_LIMIT_S
        if self._running:
            raise DeviceLostError(
                f"{self._running} of {len(self._workers)} lanes did not finish within {DRAIN_LIMIT_S:.0f} s",
                remedy="lower --batch, or look at the device's log for a hang",
            )

    def _stop(self) -> None:
        self._load.stop()
        for worker in self._workers:
            worker.withdraw()

    async def _run_worker(self, worker: Worker) -> None:
        await worker.run()
        self._running -= 1
        if not self._running:
            self._all_done.set()
