"""From what was measured to what is written. Apart from the types, so that readers need no statistics library."""

from __future__ import annotations

from asyncbench.measurement.percentile import MissingPercentile
from asyncbench.measurement.summary import LatencySummary
from asyncbench.results.latency import LatencyBlock, MissingValue, PercentileValue, percentile_name


def from_summary(summary: LatencySummary) -> LatencyBlock:
    """Return what is written of a summary."""
    found: dict[str, PercentileValue] = {}
    missing: dict[str, MissingValue] = {}
    for each in summary.percentiles:
        name = percentile_name(each.ratio)
        if isinstance(each, MissingPercentile):
            missing[name] = MissingValue(needs_more=each.needs_more)
        else:
            found[name] = PercentileValue(value_ns=each.value_ns, low_ns=each.low_ns, high_ns=each.high_ns)
    return LatencyBlock(
        n=summary.n,
        min_ns=summary.min_ns,
        mean_ns=summary.mean_ns,
        max_ns=summary.max_ns,
        percentiles=found,
        missing=missing,
    )
