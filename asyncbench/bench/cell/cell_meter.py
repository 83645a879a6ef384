"""One cell's measurement as it goes on: warm-up, then the window; fed by the load, read by the cell runner."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np

from asyncbench.clock import NS_PER_MS
from asyncbench.measurement.drift import DriftMeter
from asyncbench.measurement.first_completions import FirstCompletions, HeldCompletions
from asyncbench.measurement.histogram import Histogram
from asyncbench.measurement.queueing import QueueWaitEstimator
from asyncbench.measurement.stamps import Completions
from asyncbench.measurement.steady import SteadyDetector
from asyncbench.measurement.window import WindowMeter

# Whoever opens the window has just counted, reported and judged, on the Trio thread and with the interpreter lock that
# lanes may wait for: of a window of 50 inferences of 10 µs that would be the most part. A guess: it is over by then.
_CALM_NS = 5 * NS_PER_MS


class CellMeter:
    """Meter of one cell: stamps go to the warm-up or to the window. Constant memory; sync; one Trio run.

    Args:
        lanes: Lanes that are driven at once, > 0.
        concurrency: Workers that take turns on them, at least as many.
        iterations: Inferences that count, the first that complete in the window; None for all that do.
        closed_loop: Whether workers want their next inference when the last one is done; else the load says when.
    """

    def __init__(
        self, *, lanes: int, concurrency: int, iterations: int | None = None, closed_loop: bool = True
    ) -> None:
        shares = closed_loop and concurrency > lanes
        self.window = WindowMeter(lanes, by_work=iterations is not None)
        self.queue_waits = QueueWaitEstimator(workers=concurrency, limit=iterations) if shares else None
        self.drift = DriftMeter()
        self.warmup_count = 0
        self._first = None if iterations is None else FirstCompletions(iterations)
        self._calm_at_ns: int | None = None
        self._while_opening: list[tuple[Completions, int, bool]] = []
        self._steady = SteadyDetector(lanes)
        self._lanes = lanes
        self._last_completed_at_ns: int | None = None
        self._opened = False
        self._opened_at_ns: int | None = None
        self._disturbed = False
        self._closed_at_ns: int | None = None
        self._ran = 0

    @property
    def steady(self) -> bool:
        """True once the warm-up has become steady, with at least one inference a lane."""
        return self._steady.is_steady and self.warmup_count >= self._lanes

    @property
    def last_completed_at_ns(self) -> int | None:
        """The latest completion of the cell so far."""
        return self._last_completed_at_ns

    @property
    def histogram(self) -> Histogram:
        """Service times inside the window."""
        return self.window.histogram

    @property
    def seen(self) -> int:
        """Inferences of the window that have come in; of some it may not be certain yet that they count."""
        return self.histogram.count if self._first is None else self._first.seen

    @property
    def ran_by_closing(self) -> int:
        """Inferences that had come in when the window was closed, those included that do not count."""
        return self._ran or self.histogram.count

    def start(self, now_ns: int) -> None:
        """Begin a loop: nothing is in flight."""
        if self.queue_waits is not None:
            self.queue_waits.start(now_ns)

    def settle(self, now_ns: int, *, busy: Collection[int]) -> None:
        """Work out what is certain by now; see `FirstCompletions.settle` and `QueueWaitEstimator.settle`."""
        if self._first is not None:
            if self._calm_at_ns is not None and now_ns >= self._calm_at_ns:
                self._open_late(self._first, self._calm_at_ns)
            if self._first.full:
                return  # what comes last is settled at the end, when everything is known
            self._count(self._first.settle(now_ns, busy=busy))
        is_opening = self._opened and self._opened_at_ns is None
        if self.queue_waits is not None and not is_opening:
            self.queue_waits.settle(now_ns, busy=busy)

    def set_disturbed(self, *, disturbed: bool) -> None:
        """Say whether what is recorded from now on runs on fewer lanes than the cell has."""
        self._disturbed = disturbed
        if self._first is None:
            self.window.set_disturbed(disturbed=disturbed)

    def record(self, done: Completions, source: int) -> None:
        """Count inferences of one source of the load, such as a worker."""
        if self.queue_waits is not None:
            self.queue_waits.record(done, source)
        if not self._opened:
            last = int(done.completed_at_ns[-1])
            self._last_completed_at_ns = max(last, self._last_completed_at_ns or last)
            self.warmup_count += len(done)
            self._steady.record(done.completed_at_ns - done.issued_at_ns)
        elif self._first is None:
            self.window.record(done)
            self._record_drift(done)
        else:
            self._ran += len(done) if self._closed_at_ns is None else 0
            if self._calm_at_ns is None:
                self._first.record(self._inside(done), source, disturbed=self._disturbed)
            else:
                self._while_opening.append((done.copy(), source, self._disturbed))

    def open_window(self, now_ns: int) -> None:
        """Start the window at the last completion, so that no part of an inference is counted as time alone.

        With a fixed number that is the first one when the Trio thread is calm; where nothing has run, the first issue.
        """
        self._opened = True
        if self._first is None:
            self._open_at(now_ns if self._last_completed_at_ns is None else self._last_completed_at_ns)
        elif self._last_completed_at_ns is not None:
            self._calm_at_ns = now_ns + _CALM_NS

    def close_window(self, now_ns: int) -> None:
        """End the window: what completes from now on is not counted."""
        self._closed_at_ns = now_ns
        if self._first is not None:
            return  # it ends at the last of those that count, and which that is only the end of the loop tells
        self.window.close(now_ns)
        if self.queue_waits is not None:
            self.queue_waits.close(now_ns)

    def finish(self, now_ns: int) -> None:
        """The loop has ended and everything was recorded."""
        if self._first is not None and self._closed_at_ns is not None:
            if self._calm_at_ns is not None:
                self._open_late(self._first, min(self._calm_at_ns, self._closed_at_ns))
            self._count_last(self._first, self._closed_at_ns)
        if self.queue_waits is not None:
            self.queue_waits.settle(now_ns, busy=())

    def _count_last(self, first: FirstCompletions, closed_at_ns: int) -> None:
        counted, others = first.finish(closed_at_ns)
        self._count(counted)
        ended_at_ns = self.window.result().ended_at_ns if self.histogram.count else closed_at_ns
        self.window.close(ended_at_ns)
        for each in others:
            self.window.record_crossing(each.done)
        if self.queue_waits is not None:
            self.queue_waits.close(ended_at_ns)

    def _count(self, completions: Sequence[HeldCompletions]) -> None:
        if completions and self._opened_at_ns is None and self._first is not None:
            # Nothing ran before the window: it begins with the first inference, and not with the start of the loop.
            everything = (*completions, *self._first.held)
            self._open_at(min(int(each.done.issued_at_ns[0]) for each in everything))
        for each in completions:
            self.window.set_disturbed(disturbed=each.disturbed)
            self.window.record(each.done)
            self._record_drift(each.done)

    def _inside(self, done: Completions) -> Completions:
        """Leave out what had completed by the opening, and was looked at only later."""
        if self._opened_at_ns is None:
            return done
        return done.part(slice(int(np.searchsorted(done.completed_at_ns, self._opened_at_ns, side="right")), None))

    def _open_late(self, first: FirstCompletions, calm_at_ns: int) -> None:
        """Open the window at the first completion after an instant that is over, and count what came after it.

        Not at the last one before: what is running at an instant is long more often than not. Only where nothing has
        completed since, because inferences take longer than the time between two looks, the last one has to do.
        """
        ends = np.concatenate([done.completed_at_ns for done, _, _ in self._while_opening] or [np.empty(0, np.int64)])
        later = ends[ends > calm_at_ns]
        last_ns = max(self._last_completed_at_ns or 0, int(ends.max(initial=0)))
        self._open_at(int(later.min()) if len(later) else last_ns)
        self._calm_at_ns = None
        for done, source, disturbed in self._while_opening:
            first.record(self._inside(done), source, disturbed=disturbed)
        self._while_opening.clear()

    def _open_at(self, opened_at_ns: int) -> None:
        self._opened_at_ns = opened_at_ns
        if self.queue_waits is not None:
            self.queue_waits.open(opened_at_ns)
        self.window.open(opened_at_ns)
        self.drift.open(opened_at_ns)

    def _record_drift(self, done: Completions) -> None:
        if self._closed_at_ns is None or self._first is not None:
            self.drift.record(done.completed_at_ns, done.completed_at_ns - done.issued_at_ns)
