from __future__ import annotations

import numpy as np

from asyncbench.measurement.histogram import Histogram
from asyncbench.measurement.percentile import MissingPercentile, percentile
from asyncbench.measurement.summary import summarize


def histogram_of_first(n):
    histogram = Histogram()
    histogram.record(np.arange(1, n + 1, dtype=np.int64))
    return histogram


def test_percentiles_come_ascending_and_the_missing_ones_say_what_they_lack():
    summary = summarize(histogram_of_first(700))

    assert [each.ratio for each in summary.percentiles] == [0.5, 0.9, 0.95, 0.99, 0.999]
    assert summary.percentiles[-1] == MissingPercentile(ratio=0.999, needs_more=5_936)
    assert (summary.n, summary.min_ns, summary.mean_ns, summary.max_ns) == (700, 1, 350.5, 700)


def test_a_percentile_is_found_by_its_ratio_and_none_where_it_is_missing_or_unknown():
    histogram = histogram_of_first(700)

    summary = summarize(histogram)

    assert summary.at(0.99) == percentile(histogram, 0.99)
    assert summary.at(0.999) is None
    assert summary.at(0.42) is None


def test_nothing_measured_is_all_zero_and_all_missing():
    summary = summarize(Histogram())

    assert (summary.n, summary.min_ns, summary.mean_ns, summary.max_ns) == (0, 0, 0.0, 0)
    assert all(isinstance(each, MissingPercentile) for each in summary.percentiles)
