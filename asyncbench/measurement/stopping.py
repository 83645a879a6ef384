"""Stop rule: a window ends when it is precise enough, or when more time would not help."""

from __future__ import annotations

from dataclasses import dataclass

from asyncbench.clock import NS_PER_S
from asyncbench.measurement.histogram import Histogram
from asyncbench.measurement.percentile import SUMMARY_RATIOS, minimum_samples, percentile
from asyncbench.results.latency import MissingValue
from asyncbench.text_enum import TextEnum

_MEDIAN = 0.5
_P99 = 0.99


@dataclass(frozen=True, slots=True, kw_only=True)
class StopRule:
    """Length of a window: until precise, within limits, or as long as was asked.

    Attributes:
        median_ratio: Half of the 95 % interval of the median, relative to it, that is precise enough.
        p99_ratio: The same for p99.
        duration_ns: Measure just that long, however precise.
        iterations: Measure just that many inferences, however precise.
    """

    median_ratio: float = 0.01
    p99_ratio: float = 0.05
    min_window_ns: int = NS_PER_S // 2
    max_window_ns: int = 5 * NS_PER_S
    duration_ns: int | None = None
    iterations: int | None = None

    @property
    def fixed(self) -> bool:
        """True where the length was asked for, rather than the precision."""
        return self.duration_ns is not None or self.iterations is not None


class StopReason(TextEnum):
    """Reason for the end of a window."""

    PRECISE = "precise"
    TIME_LIMIT = "time_limit"
    OUT_OF_REACH = "out_of_reach"
    DURATION = "duration"
    ITERATIONS = "iterations"


@dataclass(frozen=True, slots=True, kw_only=True)
class StopProgress:
    """Half of the 95 % intervals, relative to the values; None where the sample is too small for one."""

    median_ratio: float | None
    p99_ratio: float | None


def achieved(histogram: Histogram) -> StopProgress:
    """Return how precise a sample is."""
    return StopProgress(
        median_ratio=_half_width_ratio(histogram, _MEDIAN), p99_ratio=_half_width_ratio(histogram, _P99)
    )


def _half_width_ratio(histogram: Histogram, ratio: float) -> float | None:
    found = percentile(histogram, ratio)
    return None if isinstance(found, MissingValue) else found.half_width_ratio


def decide(rule: StopRule, histogram: Histogram, window_ns: int, *, seen: int | None = None) -> StopReason | None:
    """Return why a window of this length should end, or None where it should go on.

    Args:
        seen: Completions of the window, where some of them are not in the histogram yet.
    """
    if rule.iterations is not None and (histogram.count if seen is None else seen) >= rule.iterations:
        return StopReason.ITERATIONS
    if rule.duration_ns is not None and window_ns >= rule.duration_ns:
        return StopReason.DURATION
    if rule.fixed or window_ns < rule.min_window_ns:
        return None
    return _decide_by_precision(rule, histogram, window_ns)


def _decide_by_precision(rule: StopRule, histogram: Histogram, window_ns: int) -> StopReason | None:
    progress = achieved(histogram)
    median_precise = _within(progress.median_ratio, rule.median_ratio)
    if median_precise and _within(progress.p99_ratio, rule.p99_ratio):
        return StopReason.PRECISE
    if window_ns >= rule.max_window_ns:
        return StopReason.TIME_LIMIT
    if median_precise and _nothing_to_gain(histogram.count, rule.max_window_ns / window_ns):
        return StopReason.OUT_OF_REACH
    return None


def _nothing_to_gain(count: int, time_factor: float) -> bool:
    """Return whether the rest of the time would buy nothing but narrower intervals: no percentile more, and not p99.

    Args:
        time_factor: The longest window over the present one.
    """
    within_reach = count * time_factor
    if within_reach >= minimum_samples(_P99):
        return False
    return not any(count < minimum_samples(ratio) <= within_reach for ratio in SUMMARY_RATIOS)


def _within(achieved_ratio: float | None, asked_ratio: float) -> bool:
    return achieved_ratio is not None and achieved_ratio <= asked_ratio


def needed_window_ns(rule: StopRule, progress: StopProgress, *, n: int, window_ns: int) -> float:
    """Return about how long a window with n > 0 should have been for the asked precision.

    A missing percentile needs its smallest sample at the present rate; the width of an interval goes with 1 / sqrt(n).
    """
    return window_ns * max(
        _needed_factor(_MEDIAN, progress.median_ratio, rule.median_ratio, n),
        _needed_factor(_P99, progress.p99_ratio, rule.p99_ratio, n),
    )


def _needed_factor(ratio: float, achieved_ratio: float | None, asked_ratio: float, n: int) -> float:
    return minimum_samples(ratio) / n if achieved_ratio is None else (achieved_ratio / asked_ratio) ** 2
