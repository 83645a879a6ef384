from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from hdrh.histogram import HdrHistogram
from hypothesis import given
from hypothesis import strategies as st

from asyncbench.measurement.histogram import HIGHEST_NS, Histogram, equivalent_range

# Exponents first, so that every order of magnitude is tried as often as any other.
durations_ns = st.integers(0, 41).flatmap(lambda bits: st.integers(0, min(2**bits, HIGHEST_NS)))
samples_ns = st.lists(durations_ns, min_size=1, max_size=60)


def int64(values):
    return np.array(values, dtype=np.int64)


def histogram_of(values):
    histogram = Histogram()
    histogram.record(int64(values))
    return histogram


@given(value_ns=durations_ns)
def test_steps_are_those_of_the_reference_implementation(value_ns):
    reference = HdrHistogram(1, HIGHEST_NS, 3)

    low_ns, high_ns = equivalent_range(value_ns)

    assert low_ns == reference.get_lowest_equivalent_value(value_ns)
    assert high_ns == reference.get_highest_equivalent_value(value_ns)


def step_at(histogram, rank):
    """Return the lowest and the highest duration of the step that holds the value of a rank."""
    return equivalent_range(round(histogram.position_at_rank(rank)))


def test_counts_are_those_of_the_reference_implementation():
    values = np.random.default_rng(1).lognormal(13, 3, 5_000).astype(np.int64)
    reference = HdrHistogram(1, HIGHEST_NS, 3)
    for value in values.tolist():
        reference.record_value(value)
    ranks = range(1, len(values) + 1, 499)

    ours = [step_at(histogram_of(values), rank)[1] for rank in ranks]

    # The reference rounds percentage x count / 100 + 0.5 down: this percentage is the middle of a rank.
    assert ours == [reference.get_value_at_percentile(100 * rank / len(values)) for rank in ranks]
    assert histogram_of(values).count == reference.get_total_count()


@given(values=samples_ns)
def test_each_rank_is_within_a_thousandth_of_the_sorted_values(values):
    histogram = histogram_of(values)

    for rank, value_ns in enumerate(sorted(values), start=1):
        low_ns, high_ns = step_at(histogram, rank)
        assert low_ns <= value_ns <= high_ns
        assert high_ns - low_ns <= value_ns / 1000
        assert abs(histogram.position_at_rank(rank) - value_ns) <= value_ns / 1000


@given(values=samples_ns)
def test_positions_never_fall_as_ranks_rise(values):
    histogram = histogram_of(values)

    positions = [histogram.position_at_rank(quarter / 4) for quarter in range(4, 4 * len(values) + 1)]

    assert positions == sorted(positions)
    assert histogram.min_ns <= positions[0]
    assert positions[-1] <= histogram.max_ns


@given(values=samples_ns)
def test_minimum_maximum_sum_and_mean_are_exact(values):
    histogram = histogram_of(values)

    assert histogram.count == len(values)
    assert (histogram.min_ns, histogram.max_ns) == (min(values), max(values))
    assert histogram.total_ns == sum(values)
    assert histogram.mean_ns == sum(values) / len(values)


@given(values=samples_ns, others=samples_ns)
def test_adding_a_histogram_is_the_same_as_recording_its_values(values, others):
    added = histogram_of(values)
    added.add(histogram_of(others))
    recorded = histogram_of(values + others)

    assert added.total_ns == recorded.total_ns
    assert [step_at(added, rank) for rank in range(1, added.count + 1)] == [
        step_at(recorded, rank) for rank in range(1, recorded.count + 1)
    ]


def test_a_batch_of_any_size_is_the_same_as_its_values_one_by_one():
    values = np.random.default_rng(2).integers(0, HIGHEST_NS, 10_000)
    one_by_one = Histogram()
    for value in values[:500]:
        one_by_one.record(int64([value]))

    whole = histogram_of(values[:500])
    large = histogram_of(values)

    assert [step_at(whole, rank) for rank in range(1, 501)] == [step_at(one_by_one, rank) for rank in range(1, 501)]
    assert large.total_ns == int(values.sum())
    assert step_at(large, 10_000)[0] <= int(values.max()) <= step_at(large, 10_000)[1]


def test_values_beyond_the_range_count_as_its_end_and_are_told_apart():
    histogram = histogram_of([1, HIGHEST_NS, HIGHEST_NS + 1, 2**60])

    assert histogram.clamped == 2
    assert histogram.count == 4
    assert histogram.max_ns == HIGHEST_NS
    assert histogram.total_ns == 1 + 3 * HIGHEST_NS


def test_adding_carries_over_what_was_clamped():
    histogram = histogram_of([5])

    histogram.add(histogram_of([2**60]))

    assert histogram.clamped == 1


def test_a_negative_duration_is_refused_and_nothing_of_its_batch_is_counted():
    histogram = histogram_of([10])

    with pytest.raises(ValueError, match="-1 ns"):
        histogram.record(int64([5, -1]))

    assert (histogram.count, histogram.total_ns, histogram.min_ns) == (1, 10, 10)


def test_an_empty_histogram_says_zero_and_an_empty_batch_changes_nothing():
    histogram = Histogram()

    histogram.record(int64([]))
    histogram.add(Histogram())

    assert (histogram.count, histogram.min_ns, histogram.max_ns, histogram.mean_ns) == (0, 0, 0, 0.0)


@pytest.mark.parametrize("rank", [0, 4])
def test_a_rank_that_no_value_has_is_refused(rank):
    with pytest.raises(ValueError, match=f"rank {rank} of 3"):
        histogram_of([1, 2, 3]).position_at_rank(rank)


def test_reset_forgets_everything():
    histogram = histogram_of([7, 2**60])

    histogram.reset()
    histogram.record(int64([9]))

    assert (histogram.count, histogram.clamped, histogram.min_ns, histogram.max_ns) == (1, 0, 9, 9)
    assert step_at(histogram, 1) == (9, 9)


def test_memory_is_the_same_after_a_million_values():
    values = np.random.default_rng(3).lognormal(13, 3, 10_000).astype(np.int64)
    tracemalloc.start()

    histogram = Histogram()
    histogram.record(values)
    before_bytes = tracemalloc.get_traced_memory()[0]
    for _ in range(100):
        histogram.record(values)
    grown_bytes = tracemalloc.get_traced_memory()[0] - before_bytes
    tracemalloc.stop()

    assert before_bytes <= 512 * 1024
    assert grown_bytes < 64 * 1024  # the values alone are 8 MB
