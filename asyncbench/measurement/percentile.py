"""Percentiles with distribution-free intervals, and the summary of a kind of latency."""

from __future__ import annotations

from functools import lru_cache
from math import ceil, floor, log, sqrt

from scipy.special import bdtr, ndtri

from asyncbench.measurement.histogram import Histogram, equivalent_range
from asyncbench.results.latency import LatencyBlock, MissingValue, PercentileValue, percentile_name

SUMMARY_RATIOS = (0.5, 0.9, 0.95, 0.99, 0.999)

_CONFIDENCE = 0.95
_MEDIAN = 0.5
_TAIL_CONFIDENCE = 0.99
_TAIL_SAMPLES_ALLOWED = 1
# 0.07 * 100 is 7.000000000000001: a product this close to an integer is that integer.
_ROUNDING = 1e-9


def summarize(histogram: Histogram) -> LatencyBlock:
    """Return p50, p90, p95, p99 and p99.9 with their 95 % intervals, beside the exact figures (0 where n is 0)."""
    found: dict[str, PercentileValue] = {}
    missing: dict[str, MissingValue] = {}
    for ratio in SUMMARY_RATIOS:
        value = percentile(histogram, ratio)
        if isinstance(value, MissingValue):
            missing[percentile_name(ratio)] = value
        else:
            found[percentile_name(ratio)] = value
    return LatencyBlock(
        n=histogram.count,
        min_ns=histogram.min_ns,
        mean_ns=histogram.mean_ns,
        max_ns=histogram.max_ns,
        percentiles=found,
        missing=missing,
    )


def percentile(histogram: Histogram, ratio: float, confidence: float = _CONFIDENCE) -> PercentileValue | MissingValue:
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
        return MissingValue(needs_more=needed - n)
    value_ns = round(histogram.position_at_rank(ceil(ratio * n - _ROUNDING)))
    low_rank, high_rank = interval_ranks(n, ratio, confidence)
    low_ns = min(floor(histogram.position_at_rank(low_rank)), value_ns)
    high_ns = max(ceil(histogram.position_at_rank(high_rank)), value_ns)
    low_ns, high_ns = _no_finer_than_the_steps(histogram, low_ns, value_ns, high_ns)
    return PercentileValue(value_ns=value_ns, low_ns=low_ns, high_ns=high_ns)


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


def smallest_sample(ratio: float, confidence: float) -> int:
    """Return the smallest n in which the shortest and the longest value enclose the quantile with that confidence."""
    return ceil(log((1 - confidence) / 2) / log(max(ratio, 1 - ratio)))


def interval_ranks(n: int, ratio: float, confidence: float) -> tuple[float, float]:
    """Return the fractional ranks, each 1 to n, between which the `ratio` quantile lies with that confidence.

    Whole ranks can only give an interval that covers too often. The fraction between two neighbours is chosen so that
    each end misses the quantile in `(1 - confidence) / 2` of all samples, where the density is even between them.

    Args:
        n: Sample size, at least `smallest_sample(ratio, confidence)`.
        ratio: Which quantile, between 0 and 1.
        confidence: Two-sided, between 0 and 1.

    Sources: Hettmansperger and Sheather, Stat. Probab. Lett. 4 (1986), for the median; Nyblom, "Note on interpolated
    order statistics", Stat. Probab. Lett. 14 (1992), for any quantile.
    """
    tail = (1 - confidence) / 2
    return _rank_above(tail, n, ratio), _rank_above(1 - tail, n, ratio)


def _rank_above(chance: float, n: int, ratio: float) -> float:
    """Return the rank whose order statistic exceeds the quantile with probability `chance`."""
    rank = _last_rank(chance, n, ratio)
    chance_here, chance_next = bdtr(rank - 1, n, ratio), bdtr(rank, n, ratio)
    reach = (chance - chance_here) / (chance_next - chance_here)
    weight = (n - rank) * ratio * reach
    return rank + float(weight / (weight + rank * (1 - ratio) * (1 - reach)))


def _last_rank(chance: float, n: int, ratio: float) -> int:
    """Return the last rank, 1 to n - 1, whose order statistic exceeds the quantile with at most that probability.

    The order statistic of rank r exceeds it when fewer than r of n values lie below it: binomial.
    """
    guess = n * ratio + ndtri(chance) * sqrt(n * ratio * (1 - ratio))
    rank = min(max(int(guess), 1), n - 1)
    while rank > 1 and bdtr(rank - 1, n, ratio) > chance:
        rank -= 1
    while rank < n - 1 and bdtr(rank, n, ratio) <= chance:
        rank += 1
    return rank
