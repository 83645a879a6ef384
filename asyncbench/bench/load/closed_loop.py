"""The closed loop: on each lane the next inference starts when the last one is done."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Sequence

import trio

from asyncbench.backends.base import Lane
from asyncbench.backends.draining import DRAIN_LIMIT_S
from asyncbench.bench.load.inference_quota import InferenceQuota
from asyncbench.bench.load.lane_gate import LaneGate
from asyncbench.bench.load.lane_queue import LaneQueue
from asyncbench.bench.load.worker import AwaitWorker, MultiplexedWorker, PumpWorker, Record, Worker
from asyncbench.error_group import own_error_alone
from asyncbench.errors import DeviceLostError
from asyncbench.sweep.cell import Driver


class ClosedLoop:
    """Keeps every lane busy while its body runs, then drains all of them.

    Args:
        lanes: With the pump each is driven by a worker of its own.
        concurrency: Inferences that are wanted at once. Where it is more than there are lanes, workers take turns: with
            the await driver they queue; with the pump the lanes, which start their next inference by themselves,
            serve a queue that `QueueWaitEstimator` works out.
        record: Takes what completed; called on the Trio thread, with arrays that are reused afterwards.
        withheld: Indices of lanes that must not run until `resume`.
    """

    def __init__(
        self,
        lanes: Sequence[Lane],
        *,
        concurrency: int,
        driver: Driver,
        record: Record,
        withheld: Collection[int] = (),
    ) -> None:
        self._brakes = [LaneGate() for _ in lanes]
        for index in withheld:
            self._brakes[index].pull()
        shares = driver is Driver.AWAIT and concurrency > len(lanes)
        self._load = InferenceQuota()
        self._queue = LaneQueue(lanes, self._brakes) if shares else None
        self._workers = self._make_workers(lanes, concurrency, driver, record)
        self._running = len(self._workers)

    @property
    def streams(self) -> int:
        """How many workers there are; `record` is told which of them it was."""
        return len(self._workers)

    def busy_streams(self) -> list[int]:
        """Return the workers with something in flight."""
        return [worker.number for worker in self._workers if worker.busy]

    def flush(self) -> None:
        """Record everything that has completed so far."""
        for worker in self._workers:
            worker.flush()

    async def withhold(self, index: int) -> None:
        """Let a lane start nothing more, and wait until all that it had started is recorded.

        Cancel it only together with the loop.
        """
        self._brakes[index].pull()
        if self._queue is not None:
            self._queue.park_idle()
        else:
            self._workers[index].withdraw()
        await self._brakes[index].wait_reached()
        self.flush()

    def resume(self, index: int) -> None:
        """Let a lane go on that was withheld."""
        self._brakes[index].release()
        if self._queue is not None:
            self._queue.unpark(index)

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
                f"{self._running} of {len(self._workers)} workers did not finish within {DRAIN_LIMIT_S:.0f} s",
                remedy="lower --batch, or look at the device's log for a hang",
            )

    def _make_workers(
        self, lanes: Sequence[Lane], concurrency: int, driver: Driver, record: Record
    ) -> Sequence[Worker]:
        if self._queue is not None:
            return [MultiplexedWorker(number, self._queue, self._load, record) for number in range(concurrency)]
        kind = PumpWorker if driver is Driver.PUMP else AwaitWorker
        numbered = enumerate(zip(lanes, self._brakes, strict=True))
        return [kind(number, lane, self._load, record, brake) for number, (lane, brake) in numbered]

    def _stop(self) -> None:
        self._load.stop()
        for brake in self._brakes:  # whoever waits, for a lane or at a brake, has nothing left to do
            brake.release()
        if self._queue is not None:
            self._queue.unpark_all()
        for worker in self._workers:
            worker.withdraw()

    async def _run_worker(self, worker: Worker) -> None:
        await worker.run()
        self._running -= 1
