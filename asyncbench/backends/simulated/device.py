"""A device with a few slots and one queue, as a discrete-event simulation on integer nanoseconds.

Exact for first come, first served: an inference starts when it is issued or when the earliest slot is free, whichever
is later, and that is known the moment it is issued, because nothing that is issued later can overtake it. A lane with
credits issues its next inference at the very instant at which the last one completed, however late anybody looks.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterable, Iterator
from heapq import heappop, heappush, heapreplace
from itertools import count

from asyncbench.backends.completion_ring import CompletionRing
from asyncbench.backends.simulated.spec import Fault
from asyncbench.errors import DeviceLostError, DoesNotFitError, LaneError
from asyncbench.sweep.backends.simulated import FaultKind

NEVER_NS = 2**63 - 1
_EXIT_CODE = 70  # EX_SOFTWARE of sysexits.h: unlike any of the exit codes of the command line


class FaultPlan:
    """The faults of one cell, by the number of the inference over all its lanes."""

    def __init__(self, faults: Iterable[Fault], *, batch: int, lanes: int) -> None:
        self._kinds = {
            fault.at: fault.kind
            for fault in faults
            if fault.batch in (None, batch) and fault.concurrency in (None, lanes)
        }
        self._issued = 0

    def next_fault(self) -> FaultKind | None:
        """Count one more inference and return what goes wrong with it."""
        number = self._issued
        self._issued += 1
        return self._kinds.get(number)


class LaneQueue:
    """Queue of one lane, as the device knows it.

    Attributes:
        credits: Inferences that may still be issued.
        completes_at_ns: When the one in flight completes; None while idle.
        failure: What has stopped the lane.
    """

    __slots__ = ("completes_at_ns", "credits", "failure", "fault", "faults", "index", "ring", "service_times_ns")

    def __init__(self, *, index: int, ring: CompletionRing, service_times_ns: Iterator[int], faults: FaultPlan) -> None:
        self.index = index
        self.ring = ring
        self.service_times_ns = service_times_ns
        self.faults = faults
        self.fault: FaultKind | None = None
        self.credits = 0
        self.completes_at_ns: int | None = None
        self.failure: LaneError | None = None


class SimulatedDevice:
    """Slots, the queue before them, and memory. Its time is set by `advance`, and never goes back."""

    def __init__(self, *, slots: int, memory_bytes: int) -> None:
        self.free_bytes = memory_bytes
        self._lost = False
        self._slot_free_at_ns = [0] * slots  # a heap
        self._completions: list[tuple[int, int, int, LaneQueue]] = []  # a heap: completed, order of issue, issued
        self._issues = count()

    def reserve(self, size_bytes: int, what: str) -> None:
        """Take memory.

        Raises:
            DoesNotFitError: There is not so much left; nothing was taken.
            DeviceLostError: The device is lost.
        """
        if self._lost:
            raise DeviceLostError("the simulated device is lost", remedy="start a new bench process")
        if size_bytes > self.free_bytes:
            raise DoesNotFitError(
                f"{what} needs {size_bytes} B, the simulated device has {self.free_bytes} B left",
                remedy="lower --batch or --concurrency, or give the simulated device more memory",
                requested_bytes=size_bytes,
                available_bytes=self.free_bytes,
            )
        self.free_bytes -= size_bytes

    def give(self, queue: LaneQueue, credit_count: int, *, at_ns: int) -> None:
        """Allow more inferences on a lane and issue one if it is idle. The device must have advanced to `at_ns`."""
        queue.credits += credit_count
        if queue.completes_at_ns is None and queue.credits and queue.failure is None:
            self._issue(queue, at_ns)

    def advance(self, now_ns: int) -> None:
        """Let everything happen that happens until `now_ns`, in its order."""
        completions = self._completions
        while completions and completions[0][0] <= now_ns:
            completed_at_ns, _, issued_at_ns, queue = heappop(completions)
            queue.completes_at_ns = None
            if self._lost or queue.fault is not None:
                self._fail(queue)
                continue
            queue.ring.push(issued_at_ns, completed_at_ns)
            if queue.credits:
                self._issue(queue, completed_at_ns)

    def _issue(self, queue: LaneQueue, at_ns: int) -> None:
        queue.credits -= 1
        queue.fault = queue.faults.next_fault()
        if queue.fault is not None:
            _end_process(queue.fault)
        starts_at_ns = NEVER_NS if queue.fault is FaultKind.HANG else max(at_ns, self._slot_free_at_ns[0])
        completes_at_ns = min(starts_at_ns + next(queue.service_times_ns), NEVER_NS)
        heapreplace(self._slot_free_at_ns, completes_at_ns)
        heappush(self._completions, (completes_at_ns, next(self._issues), at_ns, queue))
        queue.completes_at_ns = completes_at_ns

    def _fail(self, queue: LaneQueue) -> None:
        self._lost = self._lost or queue.fault is FaultKind.STICKY
        if self._lost:
            queue.failure = DeviceLostError(
                f"lane {queue.index}: the simulated device is lost",
                remedy="start a new bench process",
                cuda_error="simulated",
            )
        else:
            queue.failure = LaneError(f"lane {queue.index}: an error was simulated", lane=queue.index)


def _end_process(fault: FaultKind) -> None:
    """End this process, if that is the fault, as the kernel would or as a crashing library would."""
    if fault is FaultKind.KILL:
        os.kill(os.getpid(), signal.SIGKILL)
    if fault is FaultKind.EXIT:
        os._exit(_EXIT_CODE)
