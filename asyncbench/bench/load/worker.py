"""The workers of a cell: Trio tasks that keep lanes busy, by either driver."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import trio

from asyncbench.backends.base import Lane
from asyncbench.bench.load.inference_quota import InferenceQuota
from asyncbench.bench.load.lane_gate import LaneGate
from asyncbench.bench.load.lane_queue import LaneQueue
from asyncbench.bench.load.stamp_buffer import StampBuffer
from asyncbench.measurement.stamps import Completions

# Between two looks at a pumped lane. Long enough that Trio costs nothing beside 25,000 inferences/s, short enough
# that the stop rule sees fresh counts; the lane's credits last much longer than this.
COALESCE_S = 0.02
AWAIT_BUFFER_STAMPS = 256

Record = Callable[[Completions, int], None]
"""Takes completions of one worker, and its number."""


class Worker(Protocol):
    """What starts one inference after the other."""

    number: int

    @property
    def busy(self) -> bool:
        """Whether one of its inferences may be in flight."""

    async def run(self) -> None:
        """Start inferences while the load allows, and return when the last one has completed and was recorded.

        Raises:
            LaneError: The lane failed.
        """

    def withdraw(self) -> None:
        """Take back what was granted and has not started. The load, or the lane, must have been stopped before."""

    def flush(self) -> None:
        """Record what has been gathered so far."""


class PumpWorker:
    """Keeps a lane in credits and counts what comes out of it, many inferences at a time."""

    def __init__(self, number: int, lane: Lane, load: InferenceQuota, record: Record, brake: LaneGate) -> None:
        self.number = number
        self._lane = lane
        self._load = load
        self._record = record
        self._brake = brake
        self._outstanding = 0
        self._waiting = trio.CancelScope()

    @property
    def busy(self) -> bool:
        """See Worker.busy."""
        return self._outstanding > 0

    async def run(self) -> None:
        """See Worker.run."""
        self._brake.begin()
        self._grant(self._lane.max_credits)
        while self._outstanding or self._brake.on:
            await self._until_nothing_is_outstanding()
            if self._brake.on:
                await self._brake.stop_here()
            self._grant(self._lane.max_credits)
        self._brake.end()

    def withdraw(self) -> None:
        """See Worker.withdraw."""
        self._outstanding -= self._lane.take_credits_back()
        self.flush()

    def flush(self) -> None:
        """See Worker.flush."""
        # With nothing outstanding, what runs on a lane whose brake is on is the governor's own.
        if self._outstanding or not self._brake.on:
            self._count(self._lane.completions_nowait())
        if not self._outstanding:
            # Whoever waits for completions would wait for ever: they were all taken here.
            self._waiting.cancel()

    async def _until_nothing_is_outstanding(self) -> None:
        self._waiting = trio.CancelScope()
        with self._waiting:
            while self._outstanding:
                self._count(await self._lane.wait_completions())
                if self._outstanding and not self._load.stopped:
                    await trio.sleep(COALESCE_S)

    def _grant(self, wanted: int) -> None:
        granted = 0 if self._brake.on else self._load.take(wanted)
        if granted:
            self._lane.give_credits(granted)
            self._outstanding += granted

    def _count(self, done: Completions) -> None:
        """Record what completed, and give the lane as many credits again."""
        if len(done):
            self._outstanding -= len(done)
            self._record(done, self.number)
            self._grant(len(done))


class AwaitWorker:
    """Awaits each inference on a lane of its own, as an application on Trio would."""

    def __init__(self, number: int, lane: Lane, load: InferenceQuota, record: Record, brake: LaneGate) -> None:
        self.number = number
        self.busy = False
        self._lane = lane
        self._load = load
        self._record = record
        self._brake = brake
        self._buffer = StampBuffer(AWAIT_BUFFER_STAMPS)

    async def run(self) -> None:
        """See Worker.run."""
        infer, add, take, brake = self._lane.infer, self._buffer.add, self._load.take, self._brake
        brake.begin()
        while take(1):
            if brake.on:
                await brake.stop_here()
                continue
            self.busy = True
            add(await infer())
            self.busy = False
            if self._buffer.full:
                self.flush()
        self.flush()
        brake.end()

    def withdraw(self) -> None:
        """See Worker.withdraw: the one inference in flight has started."""

    def flush(self) -> None:
        """See Worker.flush."""
        done = self._buffer.empty()
        if len(done):
            self._record(done, self.number)


class MultiplexedWorker:
    """Awaits each inference on whichever lane is its turn: more workers than lanes."""

    def __init__(self, number: int, lanes: LaneQueue, load: InferenceQuota, record: Record) -> None:
        self.number = number
        self.busy = False
        self._lanes = lanes
        self._load = load
        self._record = record
        self._buffer = StampBuffer(AWAIT_BUFFER_STAMPS)

    async def run(self) -> None:
        """See Worker.run."""
        while not self._load.stopped:
            lane = await self._lanes.take()
            if self._load.take(1):
                self.busy = True
                self._buffer.add(await lane.infer())
                self.busy = False
            self._lanes.give_back(lane)
            if self._buffer.full:
                self.flush()
        self.flush()

    def withdraw(self) -> None:
        """See Worker.withdraw: the one inference in flight has started."""

    def flush(self) -> None:
        """See Worker.flush."""
        done = self._buffer.empty()
        if len(done):
            self._record(done, self.number)
