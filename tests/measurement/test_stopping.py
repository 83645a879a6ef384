from __future__ import annotations

import numpy as np
import pytest

from asyncbench.clock import NS_PER_S
from asyncbench.measurement.histogram import Histogram
from asyncbench.measurement.stopping import StopProgress, StopReason, StopRule, achieved, decide, needed_window_ns

MS = 1_000_000


def sample(n, *, scatter=0.01, seed=1):
    histogram = Histogram()
    histogram.record((MS * np.exp(scatter * np.random.default_rng(seed).standard_normal(n))).astype(np.int64))
    return histogram


def test_a_precise_window_goes_on_to_its_shortest_length():
    assert decide(StopRule(), sample(5_000), NS_PER_S // 2 - 1) is None


def test_a_precise_window_ends_at_its_shortest_length():
    assert decide(StopRule(), sample(5_000), NS_PER_S // 2) is StopReason.PRECISE


def test_a_window_goes_on_while_p99_may_still_become_precise():
    assert decide(StopRule(), sample(500), NS_PER_S) is None


@pytest.mark.parametrize("scatter", [0.5, 0.2])
def test_a_window_goes_on_while_median_or_p99_is_imprecise(scatter):
    assert decide(StopRule(), sample(1_000, scatter=scatter), NS_PER_S) is None


def test_an_imprecise_window_ends_at_its_longest_length():
    assert decide(StopRule(), sample(1_000, scatter=0.5), 5 * NS_PER_S) is StopReason.TIME_LIMIT


@pytest.mark.parametrize(("count", "window_ns"), [(130, NS_PER_S), (12, NS_PER_S), (64, 5 * NS_PER_S // 2)])
def test_a_window_that_can_reach_no_further_percentile_ends_once_the_median_is_precise(count, window_ns):
    assert decide(StopRule(), sample(count), window_ns) is StopReason.OUT_OF_REACH


@pytest.mark.parametrize(("count", "window_ns"), [(129, NS_PER_S), (66, NS_PER_S // 2), (13, NS_PER_S)])
def test_a_window_that_cannot_reach_p99_goes_on_for_the_percentiles_that_it_can_reach(count, window_ns):
    assert decide(StopRule(), sample(count), window_ns) is None


def test_a_window_that_can_just_reach_the_samples_of_p99_goes_on():
    assert decide(StopRule(), sample(67), NS_PER_S // 2) is None


def test_a_window_without_hope_for_p99_goes_on_while_its_median_is_imprecise():
    assert decide(StopRule(), sample(20, scatter=0.5), NS_PER_S) is None


def test_nothing_measured_at_the_time_limit_is_a_time_limit():
    assert decide(StopRule(), Histogram(), 5 * NS_PER_S) is StopReason.TIME_LIMIT


def test_a_fixed_duration_ends_the_window_however_precise_it_is():
    rule = StopRule(duration_ns=2 * NS_PER_S)

    assert decide(rule, sample(100_000), 2 * NS_PER_S - 1) is None
    assert decide(rule, sample(1), 2 * NS_PER_S) is StopReason.DURATION


def test_a_fixed_number_ends_the_window_however_long_it_takes():
    rule = StopRule(iterations=10)

    assert decide(rule, sample(9), 3_600 * NS_PER_S) is None
    assert decide(rule, sample(10), 1) is StopReason.ITERATIONS


def test_whichever_of_two_fixed_limits_comes_first_ends_the_window():
    rule = StopRule(iterations=10, duration_ns=NS_PER_S)

    assert decide(rule, sample(5), NS_PER_S) is StopReason.DURATION
    assert decide(rule, sample(10), NS_PER_S - 1) is StopReason.ITERATIONS


def test_achieved_precision_is_unknown_below_the_smallest_samples():
    assert achieved(sample(5)) == StopProgress(median_ratio=None, p99_ratio=None)


def test_achieved_precision_improves_with_the_sample():
    few, many = achieved(sample(1_000, scatter=0.3)), achieved(sample(100_000, scatter=0.3))

    assert 0 < many.median_ratio < few.median_ratio / 5
    assert 0 < many.p99_ratio < few.p99_ratio / 5


def test_four_times_the_window_is_needed_for_half_the_width():
    progress = StopProgress(median_ratio=0.02, p99_ratio=0.05)

    assert needed_window_ns(StopRule(), progress, n=10_000, window_ns=NS_PER_S) == pytest.approx(4 * NS_PER_S)


def test_a_missing_p99_needs_the_time_of_its_smallest_sample():
    progress = StopProgress(median_ratio=0.005, p99_ratio=None)

    assert needed_window_ns(StopRule(), progress, n=331, window_ns=NS_PER_S) == pytest.approx(2 * NS_PER_S)


def test_a_missing_median_is_not_forgotten():
    progress = StopProgress(median_ratio=None, p99_ratio=None)

    assert needed_window_ns(StopRule(), progress, n=1, window_ns=NS_PER_S) == pytest.approx(662 * NS_PER_S)
