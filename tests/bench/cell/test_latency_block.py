from __future__ import annotations

import pytest

from asyncbench.bench.cell.latency_block import from_summary
from asyncbench.measurement.histogram import Histogram
from asyncbench.measurement.percentile import MissingPercentile, Percentile
from asyncbench.measurement.summary import LatencySummary, summarize
from asyncbench.results.latency import LatencyBlock, MissingValue, PercentileValue, percentile_name


@pytest.mark.parametrize(
    ("ratio", "name"),
    [(0.5, "p50"), (0.9, "p90"), (0.95, "p95"), (0.99, "p99"), (0.999, "p99.9"), (0.9999, "p99.99"), (0.07, "p7")],
)
def test_percentiles_are_named_as_people_say_them(ratio, name):
    assert percentile_name(ratio) == name


def test_found_and_missing_percentiles_are_written_apart():
    summary = LatencySummary(
        n=700,
        min_ns=90,
        mean_ns=100.5,
        max_ns=900,
        percentiles=(
            Percentile(ratio=0.99, value_ns=500, low_ns=450, high_ns=800),
            MissingPercentile(ratio=0.999, needs_more=5_936),
        ),
    )

    assert from_summary(summary) == LatencyBlock(
        n=700,
        min_ns=90,
        mean_ns=100.5,
        max_ns=900,
        percentiles={"p99": PercentileValue(value_ns=500, low_ns=450, high_ns=800)},
        missing={"p99.9": MissingValue(needs_more=5_936)},
    )


def test_a_cell_without_inferences_has_a_block_without_percentiles():
    block = from_summary(summarize(Histogram()))

    assert block.n == 0
    assert block.percentiles == {}
    assert list(block.missing) == ["p50", "p90", "p95", "p99", "p99.9"]
