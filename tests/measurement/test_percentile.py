from __future__ import annotations

from math import ceil, comb

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asyncbench.measurement.histogram import Histogram, equivalent_range
from asyncbench.measurement.percentile import minimum_samples, percentile
from asyncbench.results.latency import MissingValue, PercentileValue


def histogram_of(values):
    histogram = Histogram()
    histogram.record(np.array(values, dtype=np.int64))
    return histogram


@pytest.mark.parametrize(
    ("ratio", "n"), [(0.5, 6), (0.9, 64), (0.95, 130), (0.99, 662), (0.999, 6_636), (0.9999, 66_381)]
)
def test_smallest_samples_are_those_of_loadgen_and_six_for_the_median(ratio, n):
    assert minimum_samples(ratio) == n


@pytest.mark.parametrize("ratio", [0.75, 0.9, 0.95, 0.99])
def test_the_smallest_sample_is_the_first_whose_tail_is_shown_by_one_value(ratio):
    def chance_of_at_most_one_in_the_tail(n):
        return sum(comb(n, tail) * (1 - ratio) ** tail * ratio ** (n - tail) for tail in (0, 1))

    n = minimum_samples(ratio)

    assert chance_of_at_most_one_in_the_tail(n) <= 0.01 < chance_of_at_most_one_in_the_tail(n - 1)


@pytest.mark.parametrize("ratio", [0.5, 0.9, 0.95, 0.99])
def test_a_percentile_appears_with_the_value_that_completes_its_smallest_sample(ratio):
    n = minimum_samples(ratio)

    before = percentile(histogram_of(range(1, n)), ratio)
    after = percentile(histogram_of(range(1, n + 1)), ratio)

    assert before == MissingValue(needs_more=1)
    assert isinstance(after, PercentileValue)


def test_an_empty_sample_lacks_all_values():
    assert percentile(Histogram(), 0.99) == MissingValue(needs_more=662)


def test_more_confidence_needs_more_values():
    assert percentile(histogram_of(range(6)), 0.5, confidence=0.99) == MissingValue(needs_more=2)


@given(
    values=st.lists(st.integers(1, 10**9), min_size=130, max_size=200),
    ratio=st.sampled_from([0.5, 0.9, 0.95]),
)
def test_value_is_the_nearest_rank_within_a_thousandth_and_inside_its_interval(values, ratio):
    found = percentile(histogram_of(values), ratio)

    exact_ns = sorted(values)[ceil(round(ratio * len(values), 9)) - 1]
    assert isinstance(found, PercentileValue)
    assert abs(found.value_ns - exact_ns) <= exact_ns / 1000 + 1
    assert min(values) <= found.low_ns <= found.value_ns <= found.high_ns <= max(values)


@st.composite
def narrow_samples(draw):
    """Values that crowd into a few neighbouring steps of the histogram, most of them around one edge."""
    lowest_ns, highest_ns = equivalent_range(draw(st.integers(2_048, 10**9)))
    width_ns = highest_ns + 1 - lowest_ns
    seed, below = draw(st.integers(0, 2**32 - 1)), draw(st.floats(0, 1))
    spread_ns = max(1, round(width_ns * draw(st.sampled_from([0.01, 0.1, 0.3, 1.0, 3.0]))))
    random = np.random.default_rng(seed)
    n = draw(st.integers(700, 3_000))
    offsets = random.integers(0, spread_ns, n)
    return np.where(random.random(n) < below, highest_ns - offsets, highest_ns + 1 + offsets)


@given(values=narrow_samples(), ratio=st.sampled_from([0.5, 0.9, 0.95, 0.99]))
@settings(max_examples=300)
def test_the_interval_of_a_narrow_sample_holds_its_value_and_is_no_finer_than_half_a_step(values, ratio):
    found = percentile(histogram_of(values), ratio)

    assert isinstance(found, PercentileValue)
    assert values.min() <= found.low_ns <= found.value_ns <= found.high_ns <= values.max()
    lowest_ns, highest_ns = equivalent_range(found.value_ns)
    inside_ns = min(highest_ns, int(values.max())) - max(lowest_ns, int(values.min()))
    assert found.high_ns - found.low_ns >= inside_ns // 2


def test_values_that_are_all_the_same_leave_no_doubt():
    found = percentile(histogram_of([5_000_123] * 1_000), 0.99)

    assert found == PercentileValue(value_ns=5_000_123, low_ns=5_000_123, high_ns=5_000_123)
    assert found.half_width_ratio == 0.0


def test_an_interval_inside_one_step_is_widened_to_the_step():
    low_ns, high_ns = equivalent_range(1_000_000)
    values = np.random.default_rng(1).integers(low_ns, high_ns + 1, 10_000)

    found = percentile(histogram_of([low_ns - 5_000, *values, high_ns + 5_000]), 0.5)

    assert isinstance(found, PercentileValue)
    assert (found.low_ns, found.high_ns) == (low_ns, high_ns)


def test_half_width_is_relative_to_the_value():
    assert PercentileValue(value_ns=200, low_ns=190, high_ns=220).half_width_ratio == 0.075


def test_half_width_of_a_percentile_of_nothing_is_finite():
    assert PercentileValue(value_ns=0, low_ns=0, high_ns=0).half_width_ratio == 0.0
