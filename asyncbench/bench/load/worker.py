"""Workers of a closed loop: Trio tasks that keep lanes busy, by either driver."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import trio

from asyncbench.backends.base import Lane
from asyncbench.bench.load.generator import Record
from asyncbench.bench.load.lane_gate import LaneGate
from asyncbench.bench.load.lane_queue import LaneQueue
from asyncbench.measurement.stamps import Completions, InferenceStamps

# Between two looks at a pumped lane. Long enough that Trio costs nothing beside 25,000 inferences/s, short enough
# that the stop rule sees fresh counts; the lane's credits last much longer than this.
COALESCE_S = 0.02
AWAIT_BUFFER_STAMPS = 256


class InferenceQuota:
    """The right to start inferences, shared by all workers of a cell until it is stopped. Sync; one Trio run.

    How many count is for whoever records them: were the load to end at a number, lanes would idle before the last one
    is done, and the rate would be one that nobody asked for.
    """

    def __init__(self) -> None:
        self.stopped = False

    def stop(self) -> None:
        """Hand out nothing more; what was handed out may still run."""
        self.stopped = True

    def take(self, wanted: int) -> int:
        """Return how many inferences the caller may start: `wanted`, or 0 once stopped."""
        return 0 if self.stopped else wanted


class StampBuffer:
    """Stamps of single inferences, so that they are counted by the hundred. Sync; one task writes, the same run reads.

    Args:
        capacity: How many stamps it holds before it must be emptied.
    """

    def __init__(self, capacity: int) -> None:
        self._issued_at_ns = np.zeros(capacity, dtype=np.int64)
        self._completed_at_ns = np.zeros(capacity, dtype=np.int64)
        self._count = 0

    @property
    def full(self) -> bool:
        """True where the next stamp has no place."""
        return self._count == len(self._issued_at_ns)

    def add(self, stamps: InferenceStamps) -> None:
        """Keep one inference."""
        self._issued_at_ns[self._count] = stamps.issued_at_ns
        self._completed_at_ns[self._count] = stamps.completed_at_ns
        self._count += 1

    def empty(self) -> Completions:
        """Return what is kept, valid until the next `add`, and start anew."""
        count, self._count = self._count, 0
        return Completions(
            issued_at_ns=self._issued_at_ns[:count],
            completed_at_ns=self._completed_at_ns[:count],
        )


class Worker(Protocol):
    """A task that starts one inference after the other."""

    number: int

    @property
    def busy(self) -> bool:
        """True while one of its inferences may be in flight."""

    async def run(self) -> None:
        """Start inferences while the quota allows, and return when the last one has completed and was recorded.

        Raises:
            LaneError: The lane failed.
        """

    def revoke_credits(self) -> None:
        """Take back what was granted and has not started. Before it stop the quota, or close the gate."""

    def flush(self) -> None:
        """Record what has been gathered so far."""


class PumpWorker:
    """Worker that keeps a lane in credits and counts what comes out of it, many inferences at a time."""

    def __init__(self, number: int, lane: Lane, quota: InferenceQuota, record: Record, gate: LaneGate) -> None:
        self.number = number
        self._lane = lane
        self._quota = quota
        self._record = record
        self._gate = gate
        self._outstanding = 0
        self._waiting = trio.CancelScope()

    @property
    def busy(self) -> bool:
        """See Worker.busy."""
        return self._outstanding > 0

    async def run(self) -> None:
        """See Worker.run."""
        self._gate.begin()
        self._grant(self._lane.max_credits)
        while self._outstanding or self._gate.closed:
            await self._until_nothing_is_outstanding()
            if self._gate.closed:
                await self._gate.wait_open()
            self._grant(self._lane.max_credits)
        self._gate.end()

    def revoke_credits(self) -> None:
        """See Worker.revoke_credits."""
        self._outstanding -= self._lane.take_credits_back()
        self.flush()

    def flush(self) -> None:
        """See Worker.flush."""
        # With nothing outstanding, what runs on a lane whose gate is closed is the governor's own.
        if self._outstanding or not self._gate.closed:
            self._count(self._lane.completions_nowait())
        if not self._outstanding:
            # Whoever waits for completions would wait for ever: they were all taken here.
            self._waiting.cancel()

    async def _until_nothing_is_outstanding(self) -> None:
        self._waiting = trio.CancelScope()
        with self._waiting:
            while self._outstanding:
                self._count(await self._lane.wait_completions())
                if self._outstanding and not self._quota.stopped:
                    await trio.sleep(COALESCE_S)

    def _grant(self, wanted: int) -> None:
        granted = 0 if self._gate.closed else self._quota.take(wanted)
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
    """Worker that awaits each inference on a lane of its own, as an application on Trio would."""

    def __init__(self, number: int, lane: Lane, quota: InferenceQuota, record: Record, gate: LaneGate) -> None:
        self.number = number
        self.busy = False
        self._lane = lane
        self._quota = quota
        self._record = record
        self._gate = gate
        self._buffer = StampBuffer(AWAIT_BUFFER_STAMPS)

    async def run(self) -> None:
        """See Worker.run."""
        infer, add, take, gate = self._lane.infer, self._buffer.add, self._quota.take, self._gate
        gate.begin()
        while take(1):
            if gate.closed:
                await gate.wait_open()
                continue
            self.busy = True
            add(await infer())
            self.busy = False
            if self._buffer.full:
                self.flush()
        self.flush()
        gate.end()

    def revoke_credits(self) -> None:
        """See Worker.revoke_credits: the one inference in flight has started."""

    def flush(self) -> None:
        """See Worker.flush."""
        done = self._buffer.empty()
        if len(done):
            self._record(done, self.number)


class MultiplexedWorker:
    """Worker that awaits each inference on whichever lane is its turn: more workers than lanes."""

    def __init__(self, number: int, lanes: LaneQueue, quota: InferenceQuota, record: Record) -> None:
        self.number = number
        self.busy = False
        self._lanes = lanes
        self._quota = quota
        self._record = record
        self._buffer = StampBuffer(AWAIT_BUFFER_STAMPS)

    async def run(self) -> None:
        """See Worker.run."""
        while not self._quota.stopped:
            lane = await self._lanes.take()
            if self._quota.take(1):
                self.busy = True
                self._buffer.add(await lane.infer())
                self.busy = False
            self._lanes.give_back(lane)
            if self._buffer.full:
                self.flush()
        self.flush()

    def revoke_credits(self) -> None:
        """See Worker.revoke_credits: the one inference in flight has started."""

    def flush(self) -> None:
        """See Worker.flush."""
        done = self._buffer.empty()
        if len(done):
            self._record(done, self.number)
