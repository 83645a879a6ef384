"""The closed loop: on each lane the next inference starts when the last one is done."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence

import trio
from pydantic import JsonValue

from asyncbench.backends.base import Lane
from asyncbench.backends.draining import DRAIN_LIMIT_S
from asyncbench.bench.load.generator import LoadDescriptor, LoadRequest, NoOptions, Record
from asyncbench.bench.load.lane_gate import LaneGate
from asyncbench.bench.load.lane_queue import LaneQueue
from asyncbench.bench.load.worker import AwaitWorker, InferenceQuota, MultiplexedWorker, PumpWorker, Worker
from asyncbench.error_group import own_error_alone
from asyncbench.errors import DeviceLostError
from asyncbench.sweep.cell import Driver


class ClosedLoop:
    """Closed loop: keeps every lane busy while its body runs, then drains all of them.

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
        self._gates = [LaneGate() for _ in lanes]
        for index in withheld:
            self._gates[index].close()
        shares = driver is Driver.AWAIT and concurrency > len(lanes)
        self._quota = InferenceQuota()
        self._queue = LaneQueue(lanes, self._gates) if shares else None
        self._workers = self._make_workers(lanes, concurrency, driver, record)
        self._running = len(self._workers)

    def busy(self) -> list[int]:
        """Return the workers with something in flight; they are the sources."""
        return [worker.number for worker in self._workers if worker.busy]

    def statistics(self) -> Mapping[str, JsonValue]:
        """Return nothing: the cell itself counts everything about a closed loop."""
        return {}

    def flush(self) -> None:
        """Record everything that has completed so far."""
        for worker in self._workers:
            worker.flush()

    async def withhold(self, lane: int) -> None:
        """See `LoadGenerator.withhold`."""
        self._gates[lane].close()
        if self._queue is not None:
            self._queue.park_idle()
        else:
            self._workers[lane].revoke_credits()
        await self._gates[lane].wait_idle()
        self.flush()

    def resume(self, lane: int) -> None:
        """Let a lane go on that was withheld."""
        self._gates[lane].open()
        if self._queue is not None:
            self._queue.unpark(lane)

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
            return [MultiplexedWorker(number, self._queue, self._quota, record) for number in range(concurrency)]
        kind = PumpWorker if driver is Driver.PUMP else AwaitWorker
        numbered = enumerate(zip(lanes, self._gates, strict=True))
        return [kind(number, lane, self._quota, record, gate) for number, (lane, gate) in numbered]

    def _stop(self) -> None:
        self._quota.stop()
        for gate in self._gates:  # whoever waits, for a lane or at a gate, has nothing left to do
            gate.open()
        if self._queue is not None:
            self._queue.unpark_all()
        for worker in self._workers:
            worker.revoke_credits()

    async def _run_worker(self, worker: Worker) -> None:
        await worker.run()
        self._running -= 1


def _closed_loop(request: LoadRequest[NoOptions]) -> ClosedLoop:
    return ClosedLoop(
        request.lanes,
        concurrency=request.concurrency,
        driver=request.driver,
        record=request.record,
        withheld=request.withheld,
    )


CLOSED_LOOP = LoadDescriptor(make=_closed_loop, options=NoOptions, is_closed_loop=True)
