"""Waits for a lane, where a closed loop has more workers than lanes and they take turns."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np

from asyncbench.measurement.histogram import Histogram
from asyncbench.measurement.stamps import Completions, Int64Array

_NEVER_NS = np.iinfo(np.int64).max


class QueueWaitEstimator:
    """Waits and responses, worked out from stamps alone, so that nothing has to be done per inference.

    Workers queue first come, first served, and want their next inference the moment their last one completed. So the
    n-th inference that is issued belongs to whoever queued n-th: with w workers, the first w inferences to those who
    queued at the start, and the n-th after them to the worker of the n-th completion. Its wait is the time between;
    its response is the wait and its service. Of inferences that begin at one instant, for workers who queued at
    different ones, stamps do not tell whose is which: waits and the mean response are right, single responses a guess.

    Constant memory but for what completes between two calls of `settle`; sync.

    Args:
        workers: Inferences that are wanted at once, > 0.
        limit: How many count, in the order of completion; None for all of the window.
    """

    def __init__(self, *, workers: int, limit: int | None = None) -> None:
        self.wait = Histogram()
        self.response = Histogram()
        self._workers = workers
        self._limit = limit
        self._last_issued_at_ns: dict[int, int] = {}
        self._started_at_ns = 0
        self._issued_at_ns: list[Int64Array] = []
        self._completed_at_ns: list[Int64Array] = []
        self._wanted_at_ns: Int64Array = np.empty(0, dtype=np.int64)
        self._opened_at_ns: int | None = None
        self._closed_at_ns: int | None = None

    def start(self, at_ns: int) -> None:
        """All workers queue now; nothing may be in flight."""
        self._wanted_at_ns = np.full(self._workers, at_ns, dtype=np.int64)
        self._last_issued_at_ns.clear()
        self._started_at_ns = at_ns

    def open(self, opened_at_ns: int) -> None:
        """Count what completes after this."""
        self._opened_at_ns = opened_at_ns

    def close(self, closed_at_ns: int) -> None:
        """Count nothing that completes later."""
        self._closed_at_ns = closed_at_ns

    def record(self, done: Completions, source: int) -> None:
        """Take inferences of one source, in their order: of a lane, or of a worker that awaits."""
        if len(done):
            self._issued_at_ns.append(done.issued_at_ns.copy())
            self._completed_at_ns.append(done.completed_at_ns.copy())
            self._last_issued_at_ns[source] = int(done.issued_at_ns[-1])

    def settle(self, now_ns: int, *, busy: Collection[int]) -> None:
        """Match what is known for certain: every inference that was issued up to a time that no news can precede.

        Args:
            now_ns: An instant before the sources were looked at.
            busy: Sources with an inference in flight: what they issued after their last completion is not known.
        """
        if not self._issued_at_ns:
            return
        known_until_ns = min([now_ns, *(self._last_issued_at_ns.get(source, self._started_at_ns) for source in busy)])
        issued, completed = np.concatenate(self._issued_at_ns), np.concatenate(self._completed_at_ns)
        # Of inferences that begin at one instant stamps do not tell whose is which: the first to end is wanted first,
        # so that it does not depend on who was looked at first.
        order = np.lexsort((completed, issued))
        issued, completed = issued[order], completed[order]
        count = int(np.searchsorted(issued, known_until_ns, side="right"))
        # Who completes after that time wants a turn after it: the order of the turns before it is final.
        wanted = np.sort(np.concatenate([self._wanted_at_ns, completed[:count]]))
        self._count(issued[:count], completed[:count], wanted[:count])
        self._wanted_at_ns = wanted[count:]
        self._issued_at_ns, self._completed_at_ns = [issued[count:]], [completed[count:]]

    def _count(self, issued: Int64Array, completed: Int64Array, wanted: Int64Array) -> None:
        if self._opened_at_ns is None:
            return
        inside = completed > self._opened_at_ns
        if self._closed_at_ns is not None:
            inside &= completed <= self._closed_at_ns
        if self._limit is not None:
            by_completion = np.argsort(np.where(inside, completed, _NEVER_NS), kind="stable")
            inside[by_completion[self._limit - self.wait.count :]] = False
        if inside.any():
            # Lanes that queue ahead issue before anybody wants them to.
            self.wait.record(np.maximum(issued - wanted, 0)[inside])
            self.response.record(np.maximum(completed - wanted, completed - issued)[inside])
