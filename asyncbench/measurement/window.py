"""Window of a measurement: what completed in it, and how much was in flight."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from asyncbench.clock import NS_PER_S
from asyncbench.measurement.gaps import GapMeter
from asyncbench.measurement.histogram import Histogram
from asyncbench.measurement.stamps import Completions, Int64Array

# More than one inference a lane is in flight at the closing instant where lanes queue ahead. Guess: none queues more.
_MAX_IN_FLIGHT_PER_LANE = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowResult:
    """Figures of a window. Where n is 0 all figures are 0, and there is no residual.

    Attributes:
        n: Inferences that completed after the opening, up to the end.
        ended_at_ns: The last of these completions, so that `n / window_ns` counts no part of an inference.
        window_ns: From the opening to the end; with `by_work` the time that the work of n inferences took.
        mean_in_flight: Time-weighted; inferences that lie partly in the window count with that part.
        mean_service_ns: Over the n inferences, each as a whole.
        longest_service_ns: Of the n, and of what was still in flight at the end as far as it had come.
        longest_gap_ns: The longest time in which nothing completed; see `GapMeter.longest_ns`.
        littles_law_residual: See `little_residual`.
    """

    n: int
    opened_at_ns: int
    ended_at_ns: int
    window_ns: int
    mean_in_flight: float
    mean_service_ns: float
    longest_service_ns: int
    littles_law_residual: float | None
    inferences_per_s: float
    longest_gap_ns: int = 0


class WindowMeter:
    """Counter of the completions of one window. Constant memory; sync; not thread-safe.

    Args:
        concurrency: Inferences that are to be in flight, > 0.
        by_work: Whether the length is that of the work of n inferences: for a window that ends at a number of
            completions. Of lanes in step several complete at the instant of the last one that counts, so that n over
            the time up to it would be too low by up to all lanes but one. So every inference that lies partly in the
            window counts with the share of its service time that does, and the length is as much shorter or longer.
    """

    def __init__(self, concurrency: int, *, by_work: bool = False) -> None:
        self.histogram = Histogram()
        self.enqueue_histogram: Histogram | None = None
        self.gpu_histogram: Histogram | None = None
        self.undisturbed_histogram: Histogram | None = None
        self.wait_histogram: Histogram | None = None
        self.response_histogram: Histogram | None = None
        self._disturbed = False
        self._gaps = GapMeter()
        self._opened_at_ns: int | None = None
        self._closed_at_ns: int | None = None
        self._ended_at_ns = 0
        self._service_ns = 0
        self._inside_ns = 0
        self._crossing: list[tuple[int, int]] = []  # issued, completed
        self._before_opening = 0.0  # inferences' worth of work that was done before the opening, of those counted
        self._by_work = by_work
        self._max_crossing = concurrency * _MAX_IN_FLIGHT_PER_LANE

    def open(self, opened_at_ns: int) -> None:
        """Start at an instant at which an inference completed, not earlier than any completion seen so far."""
        self._opened_at_ns = self._ended_at_ns = opened_at_ns
        self._gaps.open(opened_at_ns)

    def close(self, closed_at_ns: int) -> None:
        """Count no completion later than this, nor later than the latest one counted already.

        What completes later still counts as in flight. Lanes must be drained into `record` before `result` is right.
        """
        self._closed_at_ns = max(closed_at_ns, self._ended_at_ns)

    def set_disturbed(self, *, disturbed: bool) -> None:
        """Say whether what is recorded from now on ran on fewer lanes than the cell has.

        From the first time on, what ran on all of them is also counted apart, in `undisturbed_histogram`.
        """
        if disturbed and self.undisturbed_histogram is None:
            self.undisturbed_histogram = Histogram()
            self.undisturbed_histogram.add(self.histogram)
        self._disturbed = disturbed

    def record(self, completions: Completions) -> None:
        """Count inferences of one lane; those that completed up to the opening, or before `open`, are ignored.

        Raises:
            ValueError: The stamps cannot be: a negative duration, or more in flight than lanes can hold.
        """
        if self._opened_at_ns is None or not len(completions):
            return
        completed = completions.completed_at_ns
        first = int(np.searchsorted(completed, self._opened_at_ns, side="right"))
        last = len(completed)
        if self._closed_at_ns is not None:
            last = int(np.searchsorted(completed, self._closed_at_ns, side="right"))
            self.record_crossing(completions.part(slice(last, None)))
        if first < last:
            self._count(completions, slice(first, last), self._opened_at_ns)

    def record_crossing(self, completions: Completions) -> None:
        """Note inferences that were perhaps in flight at the closing, and that do not count.

        Raises:
            ValueError: More were in flight than lanes can hold.
        """
        # A few per lane. How much of each lies inside is known at the end, when the last counted completion has come.
        inside = completions.issued_at_ns < (self._closed_at_ns or 0)
        issued, completed = completions.issued_at_ns[inside].tolist(), completions.completed_at_ns[inside].tolist()
        self._crossing.extend(zip(issued, completed, strict=True))
        if len(self._crossing) > self._max_crossing:
            raise ValueError(f"more than {self._max_crossing} inferences in flight at the end of the window")

    def _count(self, completions: Completions, counted: slice, opened_at_ns: int) -> None:
        issued, completed = completions.issued_at_ns[counted], completions.completed_at_ns[counted]
        service = completed - issued
        self.histogram.record(service)
        if self.undisturbed_histogram is not None and not self._disturbed:
            self.undisturbed_histogram.record(service)
        self.enqueue_histogram = _recorded(self.enqueue_histogram, completions.enqueue_ns, counted)
        self.gpu_histogram = _recorded(self.gpu_histogram, completions.gpu_ns, counted)
        if completions.intended_at_ns is not None:
            self._count_waits(completions.intended_at_ns[counted], issued, service)
        self._gaps.record(completed)
        self._service_ns += int(service.sum())
        self._inside_ns += int((completed - np.maximum(issued, opened_at_ns)).sum())
        early = issued < opened_at_ns
        self._before_opening += float(((opened_at_ns - issued[early]) / service[early]).sum())
        self._ended_at_ns = max(self._ended_at_ns, int(completed[-1]))

    def _count_waits(self, intended: Int64Array, issued: Int64Array, service: Int64Array) -> None:
        wait = np.maximum(issued - intended, 0)  # instants of a schedule may be rounded
        self.wait_histogram = self.wait_histogram or Histogram()
        self.wait_histogram.record(wait)
        self.response_histogram = self.response_histogram or Histogram()
        self.response_histogram.record(wait + service)

    def result(self) -> WindowResult:
        """Return what was counted so far."""
        opened_at_ns, n = self._opened_at_ns or 0, self.histogram.count
        window_ns = span_ns = self._ended_at_ns - opened_at_ns
        if self._by_work and n:
            window_ns = max(1, round(span_ns * n / self._work(opened_at_ns)))
        mean_in_flight = self._in_flight_ns(opened_at_ns) / span_ns if n else 0.0
        inferences_per_s = n * NS_PER_S / window_ns if n else 0.0
        mean_service_ns = self._service_ns / n if n else 0.0
        return WindowResult(
            n=n,
            opened_at_ns=opened_at_ns,
            ended_at_ns=self._ended_at_ns,
            window_ns=window_ns,
            mean_in_flight=mean_in_flight,
            mean_service_ns=mean_service_ns,
            longest_service_ns=self._longest_service_ns(),
            littles_law_residual=little_residual(
                mean_in_flight=mean_in_flight, inferences_per_s=inferences_per_s, mean_service_ns=mean_service_ns
            ),
            inferences_per_s=inferences_per_s,
            longest_gap_ns=self._gaps.longest_ns(),
        )

    def _longest_service_ns(self) -> int:
        crossing_ns = (self._ended_at_ns - issued for issued, _ in self._crossing)
        return max(self.histogram.max_ns, *crossing_ns, 0)

    def _in_flight_ns(self, opened_at_ns: int) -> int:
        crossing_ns = (self._ended_at_ns - max(issued, opened_at_ns) for issued, _ in self._crossing)
        return self._inside_ns + sum(max(0, each) for each in crossing_ns)

    def _work(self, opened_at_ns: int) -> float:
        """Return the inferences' worth of work that was done from the opening to the end."""
        unfinished = (
            max(0, self._ended_at_ns - max(issued, opened_at_ns)) / (completed - issued)
            for issued, completed in self._crossing
        )
        return self.histogram.count - self._before_opening + sum(unfinished)


def little_residual(*, mean_in_flight: float, inferences_per_s: float, mean_service_ns: float) -> float | None:
    """Return the relative gap between a window and Little's law; 0.0 is perfect, None where nothing was in flight.

    Args:
        mean_in_flight: Time-weighted mean over the window.
        inferences_per_s: Completions inside the window; inferences, not items.
        mean_service_ns: Mean of completed - issued.

    Source: Little, "A Proof for the Queuing Formula: L = λW", Oper. Res. 9 (1961).
    """
    if not mean_in_flight:
        return None
    return abs(inferences_per_s * mean_service_ns / NS_PER_S - mean_in_flight) / mean_in_flight


def _recorded(histogram: Histogram | None, values_ns: Int64Array | None, counted: slice) -> Histogram | None:
    if values_ns is None:
        return histogram
    histogram = histogram or Histogram()
    histogram.record(values_ns[counted])
    return histogram
