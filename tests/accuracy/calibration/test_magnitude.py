"""The histogram of absolute values, and the ranges that follow from it, against the definitions written out."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import entropy

from asyncbench.accuracy.calibration.magnitude import (
    BINS,
    LEVELS,
    MagnitudeHistogram,
    choose_amax,
    entropy_bins,
    percentile_bins,
)
from asyncbench.accuracy.calibration.table import Method, MethodName

FLOATS = st.floats(-(2.0**100), 2.0**100, width=32)
BATCHES = st.lists(arrays(np.float32, st.integers(0, 20), elements=FLOATS), min_size=1, max_size=5)


def histogram_of(*batches: np.ndarray) -> MagnitudeHistogram:
    histogram = MagnitudeHistogram()
    for batch in batches:
        histogram.add(batch)
    return histogram


def divergence(counts: np.ndarray, kept: int) -> float:
    """The definition, one candidate at a time."""
    p = counts[:kept].astype(float)
    q = np.zeros(kept)
    levels = np.arange(kept) * LEVELS // kept
    for level in range(LEVELS):
        used = (levels == level) & (p > 0)
        if used.any():
            q[used] = p[used].mean()
    p[-1] += counts[kept:].sum()
    return entropy(p, q)


@given(BATCHES)
def test_the_counts_do_not_depend_on_how_values_are_divided_into_batches_or_on_their_order(batches):
    together = histogram_of(np.concatenate(batches)[::-1])

    one_by_one = histogram_of(*batches)

    assert one_by_one.counts.tolist() == together.counts.tolist()
    assert one_by_one.width == together.width
    assert one_by_one.amax == together.amax


@given(BATCHES)
def test_every_value_is_counted_in_the_bin_that_it_belongs_to(batches):
    histogram = histogram_of(*batches)

    magnitudes = np.abs(np.concatenate(batches).astype(np.float64))
    expected = np.bincount((magnitudes / histogram.width).astype(int), minlength=BINS)
    assert histogram.counts.tolist() == expected.tolist()
    assert histogram.amax == magnitudes.max(initial=0.0)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_value_that_is_no_number_is_refused_and_nothing_is_counted(bad):
    histogram = MagnitudeHistogram()

    with pytest.raises(ValueError, match="NaN or infinite"):
        histogram.add(np.array([1.0, bad], dtype=np.float32))

    assert histogram.counts.sum() == 0
    assert histogram.amax == 0.0


def test_min_max_keeps_everything():
    histogram = histogram_of(np.array([0.1, -7.3], dtype=np.float32))

    amax = choose_amax(histogram, Method(name=MethodName.MIN_MAX))

    assert amax == np.float32(7.3)


@pytest.mark.parametrize(("percentile", "expected"), [(50, 50), (99, 99), (99.5, 100), (100, 100)])
def test_a_percentile_keeps_the_fewest_bins_that_hold_it(percentile, expected):
    counts = np.ones(100, dtype=np.int64)

    assert percentile_bins(counts, percentile=percentile) == expected


def test_a_percentile_leaves_outliers_out():
    values = np.linspace(0, 1, 10_000, dtype=np.float32)
    histogram = histogram_of(np.append(values, np.float32(100)))

    amax = choose_amax(histogram, Method(name=MethodName.PERCENTILE, percentile=99.9))

    assert 0.99 < amax < 1.01 + histogram.width


def test_a_percentile_without_its_number_is_refused():
    with pytest.raises(ValueError, match="not given"):
        choose_amax(histogram_of(np.ones(3)), Method(name=MethodName.PERCENTILE))


@settings(max_examples=settings.default.max_examples // 4)
@given(st.integers(0, 2**32 - 1), st.integers(LEVELS, 400), st.floats(0.3, 20), st.floats(0, 0.9))
def test_entropy_keeps_the_bins_of_the_least_divergence(seed, used, decay, empty_ratio):
    rng = np.random.default_rng(seed)
    counts = rng.poisson(1e4 * np.exp(-np.arange(used) / used * decay)) * (rng.random(used) >= empty_ratio)
    counts[[1, used - 1]] = 1 + counts[[1, used - 1]]
    chosen = entropy_bins(np.append(counts, np.zeros(BINS - used, dtype=np.int64)))

    counts[0] = counts[1]
    divergences = [divergence(counts, kept) for kept in range(LEVELS, used + 1)]

    assert divergences[chosen - LEVELS] == pytest.approx(min(divergences), rel=1e-6, abs=1e-9)


def test_entropy_clips_what_is_rare_and_far_away():
    values = np.abs(np.random.default_rng(0).standard_normal(1_000_000)).astype(np.float32)
    histogram = histogram_of(np.append(values, np.float32(50)))

    amax = choose_amax(histogram, Method(name=MethodName.ENTROPY))

    assert 2.5 < amax < 6


@pytest.mark.parametrize("method", list(MethodName))
@given(arrays(np.float32, st.integers(1, 50), elements=FLOATS))
def test_no_range_is_above_the_largest_value(method, values):
    histogram = histogram_of(values)

    amax = choose_amax(histogram, Method(name=method, percentile=99.0))

    assert 0 <= amax <= histogram.amax


@pytest.mark.parametrize("method", list(MethodName))
def test_a_tensor_of_zeros_has_the_range_0(method):
    histogram = histogram_of(np.zeros(10, dtype=np.float32))

    assert choose_amax(histogram, Method(name=method, percentile=99.0)) == 0
