"""What is said of a kind of latency."""

from __future__ import annotations

from dataclasses import dataclass

from asyncbench.measurement.histogram import Histogram
from asyncbench.measurement.percentile import MissingPercentile, Percentile, percentile

SUMMARY_RATIOS = (0.5, 0.9, 0.95, 0.99, 0.999)


@dataclass(frozen=True, slots=True, kw_only=True)
class LatencySummary:
    """Minimum, mean, maximum (exact; 0 where n is 0) and percentiles, ascending by ratio."""

    n: int
    min_ns: int
    mean_ns: float
    max_ns: int
    percentiles: tuple[Percentile | MissingPercentile, ...]

    def at(self, ratio: float) -> Percentile | None:
        """Return the percentile, or None where it is missing or was never asked for."""
        found = (each for each in self.percentiles if each.ratio == ratio)
        each = next(found, None)
        return each if isinstance(each, Percentile) else None


def summarize(histogram: Histogram) -> LatencySummary:
    """Return p50, p90, p95, p99 and p99.9 with their 95 % intervals, beside the exact figures."""
    return LatencySummary(
        n=histogram.count,
        min_ns=histogram.min_ns,
        mean_ns=histogram.mean_ns,
        max_ns=histogram.max_ns,
        percentiles=tuple(percentile(histogram, ratio) for ratio in SUMMARY_RATIOS),
    )
