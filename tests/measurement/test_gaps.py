"""The longest time without a completion."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncbench.clock import NS_PER_MS, NS_PER_S
from asyncbench.measurement.gaps import GapMeter


def longest(*lanes, opened_at_ns=0):
    meter = GapMeter()
    meter.open(opened_at_ns)
    for lane in lanes:
        meter.record(np.array(lane, dtype=np.int64))
    return meter.longest_ns()


def test_without_completions_there_is_no_gap():
    assert longest() == 0


def test_the_gap_after_the_opening_counts():
    assert longest([107, 108], opened_at_ns=100) == 7


def test_a_pause_is_found_to_the_nanosecond():
    before, after = range(0, NS_PER_S, 5 * NS_PER_MS), range(5 * NS_PER_S + 17, 6 * NS_PER_S, 5 * NS_PER_MS)

    assert longest([*before, *after]) == 5 * NS_PER_S + 17 - before[-1]


def test_a_lane_that_goes_on_fills_the_gap_of_another_in_whatever_order_they_are_handed_in():
    halting = [NS_PER_MS, 3 * NS_PER_S]
    steady = list(range(0, 3 * NS_PER_S, 7 * NS_PER_MS))

    assert longest(halting, steady) == longest(steady, halting) == pytest.approx(7 * NS_PER_MS, abs=NS_PER_MS)


@given(
    lanes=st.lists(st.lists(st.integers(0, 60 * NS_PER_S), min_size=1, max_size=30).map(sorted), min_size=1, max_size=4)
)
def test_it_is_that_of_all_completions_or_hidden_in_a_slice(lanes):
    every = sorted([0, *(each for lane in lanes for each in lane)])
    exact = max(np.diff(every), default=0)

    found = longest(*lanes)

    slice_ns = max(NS_PER_MS, every[-1] / 2_048)
    assert found <= exact
    assert found == exact or exact <= slice_ns
