"""One cell's measurement as it goes on: warm-up, then the window; fed by the workers, read by the cell runner."""

from __future__ import annotations

from collections.abc import Collection

from asyncbench.measurement.drift import DriftMeter
from asyncbench.measurement.histogram import Histogram
from asyncbench.measurement.stamps import Completions
from asyncbench.measurement.steady import SteadyDetector
from asyncbench.measurement.turns import TurnMeter
from asyncbench.measurement.window import WindowMeter


class CellMeter:
    """Sends stamps to the warm-up or to the window. Constant memory; sync; one Trio run.

    Args:
        lanes: Lanes that are driven at once, > 0.
        concurrency: Workers that take turns on them, at least as many.
    """

    def __init__(self, *, lanes: int, concurrency: int) -> None:
        self.window = WindowMeter(lanes)
        self.turns = TurnMeter(workers=concurrency, streams=concurrency) if concurrency > lanes else None
        self.drift = DriftMeter()
        self.warmup_count = 0
        self._steady = SteadyDetector(lanes)
        self._lanes = lanes
        self._last_completed_at_ns: int | None = None
        self._opened = False
        self._closed = False

    @property
    def steady(self) -> bool:
        """Whether the warm-up has become steady, with at least one inference a lane."""
        return self._steady.is_steady and self.warmup_count >= self._lanes

    @property
    def last_completed_at_ns(self) -> int | None:
        """The latest completion of the cell so far."""
        return self._last_completed_at_ns

    @property
    def histogram(self) -> Histogram:
        """Service times inside the window."""
        return self.window.histogram

    def start(self, now_ns: int) -> None:
        """Begin a loop: nothing is in flight."""
        if self.turns is not None:
            self.turns.start(now_ns)

    def settle(self, now_ns: int, *, busy: Collection[int]) -> None:
        """Work out how long workers waited; see `TurnMeter.settle`."""
        if self.turns is not None:
            self.turns.settle(now_ns, busy=busy)

    def record(self, done: Completions, stream: int) -> None:
        """Count inferences of one worker."""
        if self.turns is not None:
            self.turns.record(done, stream)
        last = int(done.completed_at_ns[-1])
        self._last_completed_at_ns = max(last, self._last_completed_at_ns or last)
        if self._opened:
            self.window.record(done)
            self._record_drift(done)
        else:
            self.warmup_count += len(done)
            self._steady.record(done.completed_at_ns - done.issued_at_ns)

    def open_window(self, now_ns: int) -> None:
        """Start the window at the last completion, so that no part of an inference is counted as time alone."""
        self._opened = True
        opened_at_ns = now_ns if self._last_completed_at_ns is None else self._last_completed_at_ns
        self.window.open(opened_at_ns)
        self.drift.open(opened_at_ns)
        if self.turns is not None:
            self.turns.open(opened_at_ns)

    def close_window(self, now_ns: int) -> None:
        """End the window: what completes from now on is not counted."""
        self._closed = True
        self.window.close(now_ns)
        if self.turns is not None:
            self.turns.close(now_ns)

    def _record_drift(self, done: Completions) -> None:
        if not self._closed:
            self.drift.record(done.completed_at_ns, done.completed_at_ns - done.issued_at_ns)
