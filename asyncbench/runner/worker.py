"""The workers of a cell: one Trio task a lane, by either driver."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import trio

from asyncbench.backends.base import Lane
from asyncbench.measurement.stamps import Completions
from asyncbench.runner.load import Load
from asyncbench.runner.stamp_buffer import StampBuffer
from asyncbench.sweep.cell import Driver

# Between two looks at a pumped lane. Long enough that Trio costs nothing beside 25,000 inferences/s, short enough
# that the stop rule sees fresh counts; the lane's credits last much longer than this.
COALESCE_S = 0.02
AWAIT_BUFFER_STAMPS = 256

Record = Callable[[Completions], None]


class Worker(Protocol):
    """What drives one lane."""

    async def run(self) -> None:
        """Start inferences while the load allows, and return when the last one has completed and was recorded.

        Raises:
            LaneError: The lane failed.
        """

    def withdraw(self) -> None:
        """Take back what was granted and has not started. The load must have been stopped before."""

    def flush(self) -> None:
        """Record what has been gathered so far."""


class PumpWorker:
    """Keeps a lane in credits and counts what comes out of it, many inferences at a time."""

    def __init__(self, lane: Lane, load: Load, record: Record) -> None:
        self._lane = lane
        self._load = load
        self._record = record
        self._outstanding = 0
        self._waiting = trio.CancelScope()

    async def run(self) -> None:
        """See Worker.run."""
        self._grant(self._lane.max_credits)
        with self._waiting:
            while self._outstanding:
                self._count(await self._lane.wait_completions())
                if self._outstanding and not self._load.stopped:
                    await trio.sleep(COALESCE_S)

    def withdraw(self) -> None:
        """See Worker.withdraw."""
        taken_back = self._lane.take_credits_back()
        self._outstanding -= taken_back
        self._load.give_back(taken_back)
        self.flush()

    def flush(self) -> None:
        """See Worker.flush."""
        self._count(self._lane.completions_nowait())
        if not self._outstanding:
            # Whoever waits for completions would wait for ever: they were all taken here.
            self._waiting.cancel()

    def _grant(self, wanted: int) -> None:
        granted = self._load.take(wanted)
        if granted:
            self._lane.give_credits(granted)
            self._outstanding += granted

    def _count(self, done: Completions) -> None:
        """Record what completed, and give the lane as many credits again."""
        if len(done):
            self._outstanding -= len(done)
            self._record(done)
            self._grant(len(done))


class AwaitWorker:
    """Awaits each inference, as an application on Trio would."""

    def __init__(self, lane: Lane, load: Load, record: Record) -> None:
        self._lane = lane
        self._load = load
        self._record = record
        self._buffer = StampBuffer(AWAIT_BUFFER_STAMPS)

    async def run(self) -> None:
        """See Worker.run."""
        infer, add, take = self._lane.infer, self._buffer.add, self._load.take
        while take(1):
            add(await infer())
            if self._buffer.full:
                self.flush()
        self.flush()

    def withdraw(self) -> None:
        """See Worker.withdraw: the one inference in flight has started."""

    def flush(self) -> None:
        """See Worker.flush."""
        done = self._buffer.empty()
        if len(done):
            self._record(done)


def make_worker(driver: Driver, lane: Lane, load: Load, record: Record) -> Worker:
    """Return a worker of that driver for `lane`."""
    return PumpWorker(lane, load, record) if driver is Driver.PUMP else AwaitWorker(lane, load, record)
