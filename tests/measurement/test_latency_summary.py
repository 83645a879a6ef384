from __future__ import annotations

import numpy as np
import pytest

from asyncbench.measurement.histogram import Histogram
from asyncbench.measurement.percentile import percentile, summarize
from asyncbench.results.latency import MissingValue, percentile_name


def histogram_of_first(n):
    histogram = Histogram()
    histogram.record(np.arange(1, n + 1, dtype=np.int64))
    return histogram


@pytest.mark.parametrize(
    ("ratio", "name"),
    [(0.5, "p50"), (0.9, "p90"), (0.95, "p95"), (0.99, "p99"), (0.999, "p99.9"), (0.9999, "p99.99"), (0.07, "p7")],
)
def test_percentiles_are_named_as_people_say_them(ratio, name):
    assert percentile_name(ratio) == name


def test_percentiles_come_ascending_and_the_missing_ones_say_what_they_lack():
    histogram = histogram_of_first(700)

    summary = summarize(histogram)

    assert list(summary.percentiles) == ["p50", "p90", "p95", "p99"]
    assert summary.percentiles["p99"] == percentile(histogram, 0.99)
    assert summary.missing == {"p99.9": MissingValue(needs_more=5_936)}
    assert (summary.n, summary.min_ns, summary.mean_ns, summary.max_ns) == (700, 1, 350.5, 700)


def test_nothing_measured_is_all_zero_and_all_missing():
    summary = summarize(Histogram())

    assert (summary.n, summary.min_ns, summary.mean_ns, summary.max_ns) == (0, 0, 0.0, 0)
    assert summary.percentiles == {}
    assert list(summary.missing) == ["p50", "p90", "p95", "p99", "p99.9"]
