"""Intervals of shares: published examples, and what must hold of any."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar
from scipy.special import xlogy
from scipy.stats import binomtest

from asyncbench.accuracy.metrics.intervals import paired_interval, wilson_interval

Z2 = 1.959963984540054**2


@given(st.integers(0, 5000), st.integers(1, 5000))
def test_the_interval_of_a_share_is_scipys_wilson_interval(successes, n):
    successes = min(successes, n)
    expected = binomtest(successes, n).proportion_ci(method="wilson")

    interval = wilson_interval(successes, n)

    assert (interval.low, interval.high) == pytest.approx((expected.low, expected.high), abs=1e-12)
    assert interval.low <= successes / n <= interval.high


@pytest.mark.parametrize(
    ("first_only", "second_only", "n", "low", "high"),
    [
        (1, 7, 21, -0.5172, -0.0260),  # Bentur et al., in Fagerland, Lydersen, Laake (2014)
        (6, 16, 161, -0.1240, -0.0054),  # Cavo et al., the same
    ],
)
def test_the_interval_of_a_paired_difference_is_the_published_one(first_only, second_only, n, low, high):
    interval = paired_interval(first_only=first_only, second_only=second_only, n=n)

    assert (interval.low, interval.high) == pytest.approx((low, high), abs=6e-5)


@given(st.integers(0, 60), st.integers(0, 60), st.integers(1, 2000))
def test_the_paired_interval_holds_the_difference_and_turns_round_with_the_roles(first_only, second_only, more):
    n = first_only + second_only + more

    interval = paired_interval(first_only=first_only, second_only=second_only, n=n)
    turned = paired_interval(first_only=second_only, second_only=first_only, n=n)

    assert -1 <= interval.low <= (first_only - second_only) / n <= interval.high <= 1
    assert interval.low < interval.high
    assert (turned.low, turned.high) == pytest.approx((-interval.high, -interval.low), abs=1e-9)


@given(st.integers(0, 20), st.integers(0, 20), st.integers(1, 200))
def test_at_its_ends_the_score_test_is_just_at_five_percent(first_only, second_only, more):
    n = first_only + second_only + more
    interval = paired_interval(first_only=first_only, second_only=second_only, n=n)

    for end in (interval.low, interval.high):
        # The share of `second_only` that makes the counts most likely, found by search instead of by formula.
        low, high = max(0.0, -end), (1 - end) / 2
        share = minimize_scalar(
            lambda share, end=end: (
                -(xlogy(first_only, share + end) + xlogy(second_only, share) + xlogy(more, 1 - 2 * share - end))
            ),
            bounds=(low, high),
            method="bounded",
            options={"xatol": 1e-12},
        ).x
        gap = first_only - second_only - n * end
        assert gap * gap == pytest.approx(Z2 * n * (2 * share + end - end * end), rel=2e-3)


def test_engines_that_never_differ_have_an_interval_that_shrinks_with_the_items():
    interval = paired_interval(first_only=0, second_only=0, n=1000)

    assert interval.high == pytest.approx(Z2 / (1000 + Z2))
    assert interval.low == pytest.approx(-Z2 / (1000 + Z2))


def test_all_lost_is_a_drop_of_one():
    assert paired_interval(first_only=10, second_only=0, n=10).high == 1.0
    assert paired_interval(first_only=0, second_only=10, n=10).low == -1.0


def test_no_items_have_no_interval():
    assert wilson_interval(0, 0) is None
    assert paired_interval(first_only=0, second_only=0, n=0) is None


@pytest.mark.slow
def test_the_paired_interval_holds_the_true_difference_as_often_as_it_says():
    generator = np.random.default_rng(0)
    counts = generator.multinomial(300, [0.03, 0.01, 0.96], size=2000)

    held = [
        interval.low <= 0.02 <= interval.high
        for first, second, _ in counts.tolist()
        for interval in [paired_interval(first_only=first, second_only=second, n=300)]
    ]

    assert 0.93 <= np.mean(held) <= 0.97
