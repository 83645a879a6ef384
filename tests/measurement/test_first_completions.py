"""Which completions are the first n, whatever order the lanes report in."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncbench.measurement.first_completions import FirstCompletions
from asyncbench.measurement.stamps import Completions


def completions(pairs, **other):
    return Completions(
        issued_at_ns=np.array([issued for issued, _ in pairs], dtype=np.int64),
        completed_at_ns=np.array([completed for _, completed in pairs], dtype=np.int64),
        **other,
    )


def ends(held):
    return sorted(end for each in held for end in each.done.completed_at_ns.tolist())


@st.composite
def loops(draw):
    """Return what each lane issues and completes, back to back."""
    lanes = []
    for services in draw(st.lists(st.lists(st.integers(1, 20), min_size=1, max_size=30), min_size=1, max_size=5)):
        completed = np.cumsum(services).tolist()
        lanes.append(list(zip([0, *completed], completed, strict=False)))
    return lanes


@given(lanes=loops(), limit=st.integers(1, 60), data=st.data())
def test_they_are_the_earliest_however_late_a_lane_is_looked_at(lanes, limit, data):
    first = FirstCompletions(limit)
    last_ns = max(pairs[-1][1] for pairs in lanes)
    recorded, counted = [0] * len(lanes), []

    for now_ns in sorted(data.draw(st.lists(st.integers(0, last_ns), max_size=10))):
        for lane, pairs in enumerate(lanes):
            # A lane that is busy may have completed more than it tells.
            complete = sum(end <= now_ns for _, end in pairs)
            known = data.draw(st.integers(recorded[lane], max(recorded[lane], complete)))
            first.record(completions(pairs[recorded[lane] : known]), lane, disturbed=False)
            recorded[lane] = known
        busy = [lane for lane, pairs in enumerate(lanes) if recorded[lane] < len(pairs)]
        counted += first.settle(now_ns, busy=busy)
    for lane, pairs in enumerate(lanes):
        first.record(completions(pairs[recorded[lane] :]), lane, disturbed=False)
    last, others = first.finish(last_ns)

    everything = sorted(end for pairs in lanes for _, end in pairs)
    assert ends([*counted, *last]) == everything[:limit]
    assert ends(others) == everything[limit:]


def test_of_those_that_complete_at_the_last_instant_only_as_many_count_as_are_left():
    first = FirstCompletions(3)
    for lane in range(4):
        first.record(completions([(0, 10)]), lane, disturbed=False)

    counted, others = first.finish(10)

    assert (ends(counted), ends(others)) == ([10, 10, 10], [10])


def test_what_completed_after_the_closing_does_not_count_though_fewer_do_then():
    first = FirstCompletions(5)
    first.record(completions([(0, 10), (10, 20), (20, 30)]), 0, disturbed=False)

    counted, others = first.finish(20)

    assert (ends(counted), ends(others)) == ([10, 20], [30])


def test_nothing_at_all_is_not_an_error():
    assert FirstCompletions(5).finish(20) == ([], [])


def test_a_busy_lane_that_has_told_nothing_keeps_all_others_back():
    first = FirstCompletions(5)
    first.record(completions([(0, 10), (10, 20)]), 0, disturbed=False)

    assert first.settle(25, busy=[0, 1]) == []
    assert ends(first.settle(25, busy=[0])) == [10, 20]


def test_what_is_held_is_a_copy_with_all_that_was_stamped():
    enqueue_ns, gpu_ns = np.array([1, 2]), np.array([3, 4])
    done = completions([(0, 10), (10, 20)], enqueue_ns=enqueue_ns, gpu_ns=gpu_ns)
    first = FirstCompletions(1)

    first.record(done, 0, disturbed=True)
    for array in (done.issued_at_ns, done.completed_at_ns, enqueue_ns, gpu_ns):
        array.fill(-1)
    (counted,), (other,) = first.finish(20)

    assert (counted.done.enqueue_ns.tolist(), counted.done.gpu_ns.tolist(), counted.disturbed) == ([1], [3], True)
    assert (other.done.completed_at_ns.tolist(), other.done.gpu_ns.tolist()) == ([20], [4])


@pytest.mark.parametrize("count", [1, 7])
def test_how_many_were_seen_is_never_more_than_count(count):
    first = FirstCompletions(5)

    first.record(completions([(at, at + 1) for at in range(count)]), 0, disturbed=False)

    assert (first.seen, first.ran, first.full) == (min(count, 5), count, count >= 5)
