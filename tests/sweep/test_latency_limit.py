"""How a latency limit is written."""

import pytest

from asyncbench.errors import BadInputError
from asyncbench.measurement.percentile import SUMMARY_RATIOS
from asyncbench.results.latency import percentile_name
from asyncbench.sweep.config import SweepConfig, check_config
from asyncbench.sweep.latency_limit import LIMIT_PERCENTILES, LatencyLimit, parse_latency_limit


@pytest.mark.parametrize(
    ("text", "percentile", "limit_ns"),
    [
        ("20ms", "p99", 20_000_000),
        ("p99=20ms", "p99", 20_000_000),
        (" p99.9 = 1.5 s ", "p99.9", 1_500_000_000),
        ("p50=250us", "p50", 250_000),
        ("P99 = 20 ms", "p99", 20_000_000),
    ],
)
def test_a_limit_is_of_the_percentile_that_is_named_and_of_p99_where_none_is(text, percentile, limit_ns):
    assert parse_latency_limit(text) == LatencyLimit(percentile=percentile, limit_ns=limit_ns)


def test_the_percentiles_that_can_be_limited_are_those_that_records_have():
    assert tuple(percentile_name(ratio) for ratio in SUMMARY_RATIOS) == LIMIT_PERCENTILES


@pytest.mark.parametrize("name", LIMIT_PERCENTILES)
def test_the_share_within_the_limit_is_that_of_the_percentile(name):
    assert percentile_name(LatencyLimit(percentile=name, limit_ns=1).ratio) == name


@pytest.mark.parametrize("text", ["p98=20ms", "mean=20ms", "99=20ms", "p50=p99=20ms"])
def test_a_percentile_that_is_not_measured_is_refused_with_those_that_are(text):
    with pytest.raises(BadInputError) as refusal:
        parse_latency_limit(text)

    assert "is not a percentile that is measured: use one of p50, p90, p95, p99, p99.9" in str(refusal.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("=20ms", "'=20ms' lacks a percentile before its =: write p99=20ms, or 20ms for p99"),
        ("p99=", "'p99=' lacks a duration after its =: write p99=20ms, or 20ms for p99"),
        ("p99= ", "'p99=' lacks a duration after its =: write p99=20ms, or 20ms for p99"),
        ("=", "'=' lacks a percentile before its =: write p99=20ms, or 20ms for p99"),
    ],
)
def test_half_of_a_limit_is_refused_with_the_half_that_it_lacks(text, said):
    with pytest.raises(BadInputError) as refusal:
        parse_latency_limit(text)

    assert str(refusal.value) == said


@pytest.mark.parametrize("text", ["p99=", "p99=20", "p99=0ms", "p99", "0ms", ""])
def test_a_limit_without_a_duration_above_0_is_refused(text):
    with pytest.raises(BadInputError):
        check_config({"latency_limit": text}, source="sweep.json")


def test_the_configuration_keeps_the_words_and_gives_the_limit():
    config = SweepConfig(latency_limit="p95=20ms")

    assert config.model_dump()["latency_limit"] == "p95=20ms"
    assert config.latency_limit == LatencyLimit(percentile="p95", limit_ns=20_000_000)
    assert SweepConfig().latency_limit is None
