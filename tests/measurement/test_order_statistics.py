from __future__ import annotations

from math import comb, floor, fsum

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import bdtr

from asyncbench.measurement.percentile import interval_ranks, smallest_sample

ratios = st.sampled_from([0.1, 0.5, 0.9, 0.95, 0.99])


def chance_above(rank, n, ratio):
    """Return how likely fewer than `rank` of n values are below the quantile, from the definition."""
    return fsum(comb(n, below) * ratio**below * (1 - ratio) ** (n - below) for below in range(rank))


@given(ratio=ratios, extra=st.integers(0, 60))
def test_each_end_lies_between_a_rank_that_misses_too_seldom_and_one_that_misses_too_often(ratio, extra):
    n = smallest_sample(ratio, 0.95) + extra

    low, high = interval_ranks(n, ratio, 0.95)

    assert chance_above(floor(low), n, ratio) <= 0.025 <= chance_above(floor(low) + 1, n, ratio)
    assert chance_above(floor(high), n, ratio) <= 0.975 <= chance_above(floor(high) + 1, n, ratio)


@given(n=st.integers(6, 400))
def test_the_interval_of_a_median_is_that_of_hettmansperger_and_sheather(n):
    low, high = interval_ranks(n, 0.5, 0.95)

    # Their formula, in the coverage of the interval of the ranks r and n - r + 1.
    rank = floor(low)
    outer, inner = (1 - 2 * chance_above(each, n, 0.5) for each in (rank, rank + 1))
    share = (outer - 0.95) / (outer - inner)
    weight = (n - rank) * share / (rank + (n - 2 * rank) * share)
    assert low == pytest.approx(rank + weight, abs=1e-6)
    assert high == pytest.approx(n + 1 - low, abs=1e-6)


@given(n=st.integers(6_636, 10**7), ratio=st.sampled_from([0.5, 0.9, 0.99, 0.999]))
def test_large_samples_have_the_same_ends_as_small_ones(n, ratio):
    for rank, chance in zip(interval_ranks(n, ratio, 0.95), (0.025, 0.975), strict=True):
        assert bdtr(floor(rank) - 1, n, ratio) <= chance <= bdtr(floor(rank), n, ratio)


@given(n=st.integers(662, 10**9), ratio=ratios)
def test_ranks_stay_inside_the_sample_and_around_the_percentile(n, ratio):
    low, high = interval_ranks(n, ratio, 0.95)

    assert 1 <= low < ratio * n + 1
    assert ratio * n < high <= n


@given(ratio=ratios, confidence=st.sampled_from([0.9, 0.95, 0.99]))
def test_the_smallest_sample_is_the_first_that_encloses_the_quantile(ratio, confidence):
    n = smallest_sample(ratio, confidence)

    missed = max(ratio, 1 - ratio)
    assert missed**n <= (1 - confidence) / 2 < missed ** (n - 1)


def test_higher_confidence_takes_a_wider_interval():
    narrow_low, narrow_high = interval_ranks(1_000, 0.9, 0.9)
    wide_low, wide_high = interval_ranks(1_000, 0.9, 0.99)

    assert wide_low < narrow_low < narrow_high < wide_high
