"""A percentile with its interval, or how many values it lacks."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import ceil, floor

from scipy.special import bdtr

from asyncbench.measurement.histogram import Histogram, equivalent_range
from asyncbench.measurement.order_statistics import interval_ranks, smallest_sample

_CONFIDENCE = 0.95
_MEDIAN = 0.5
_TAIL_CONFIDENCE = 0.99
_TAIL_SAMPLES_ALLOWED = 1
# 0.07 * 100 is 7.000000000000001: a product this close to an integer is that integer.
_ROUNDING = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class Percentile:
    """A percentile and the interval that holds the true one.

    Attributes:
        ratio: Which one: 0.99 is p99.
        value_ns: The value of rank ceil(ratio x n).
    """

    ratio: float
    value_ns: int
    low_ns: int
    high_ns: int

    @property
    def half_width_ratio(self) -> float:
        """Half of the interval, relative to the value."""
        return (self.high_ns - self.low_ns) / 2 / max(self.value_ns, 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class MissingPercentile:
    """A percentile that the sample is too small for."""

    ratio: float
    needs_more: int


def percentile(histogram: Histogram, ratio: float, confidence: float = _CONFIDENCE) -> Percentile | MissingPercentile:
    """Return a percentile with its distribution-free interval, if there are enough values for it.

    The interval always holds the value. One that is narrower than half of the value's step in the histogram is widened
    to that step, and keeps what it has beyond it.

    Args:
        ratio: Between 0 and 1.
        confidence: How often the interval holds the true percentile, for independent values.
    """
    n = histogram.count
    needed = max(minimum_samples(ratio), smallest_sample(ratio, confidence))
    if n < needed:
        return MissingPercentile(ratio=ratio, needs_more=needed - n)
    value_ns = round(histogram.position_at_rank(ceil(ratio * n - _ROUNDING)))
    low_rank, high_rank = interval_ranks(n, ratio, confidence)
    low_ns = min(floor(histogram.position_at_rank(low_rank)), value_ns)
    high_ns = max(ceil(histogram.position_at_rank(high_rank)), value_ns)
    low_ns, high_ns = _no_finer_than_the_steps(histogram, low_ns, value_ns, high_ns)
    return Percentile(ratio=ratio, value_ns=value_ns, low_ns=low_ns, high_ns=high_ns)


def _no_finer_than_the_steps(histogram: Histogram, low_ns: int, value_ns: int, high_ns: int) -> tuple[int, int]:
    # The step is the value's: an end between two ranks of neighbouring steps may lie in the one below or above.
    lowest_ns, highest_ns = equivalent_range(value_ns)
    # Half: down to there the density inside a step is known well enough (docs/statistics.md, resolution).
    if 2 * (high_ns - low_ns) > highest_ns + 1 - lowest_ns:
        return low_ns, high_ns
    return max(min(low_ns, lowest_ns), histogram.min_ns), min(max(high_ns, highest_ns), histogram.max_ns)


@lru_cache(maxsize=64)
def minimum_samples(ratio: float) -> int:
    """Return how many values a percentile needs before it is shown.

    Up to the median: as many as a 95 % interval takes. Above it also as many as show with 99 % confidence that no more
    than the share `1 - ratio` is longer, if one of them was: 662 for p99.

    Source: MLPerf Inference, LoadGen, early stopping with one over-latency query.
    """
    enough = smallest_sample(ratio, _CONFIDENCE)
    return max(enough, _tail_samples(1 - ratio)) if ratio > _MEDIAN else enough


def _tail_samples(tail_ratio: float) -> int:
    """Return the smallest n in which at most one value of the tail has a chance of at most 1 %."""
    too_few, enough = 1, 2
    while not _tail_shown(enough, tail_ratio):
        too_few, enough = enough, enough * 2
    while enough - too_few > 1:
        middle = (too_few + enough) // 2
        too_few, enough = (too_few, middle) if _tail_shown(middle, tail_ratio) else (middle, enough)
    return enough


def _tail_shown(n: int, tail_ratio: float) -> bool:
    return bool(bdtr(_TAIL_SAMPLES_ALLOWED, n, tail_ratio) <= 1 - _TAIL_CONFIDENCE)
