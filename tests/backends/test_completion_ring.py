from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from asyncbench.backends.completion_ring import CompletionRing


@given(st.integers(1, 9), st.lists(st.integers(0, 9)))
def test_all_that_is_pushed_is_taken_once_and_in_order(capacity, pushes):
    ring = CompletionRing(capacity)
    pushed, taken = [], []

    for count in pushes:
        for _ in range(min(count, capacity)):
            stamps = (len(pushed), len(pushed) + 10)
            ring.push(*stamps)
            pushed.append(stamps)
        completions = ring.take()
        taken += zip(completions.issued_at_ns.tolist(), completions.completed_at_ns.tolist(), strict=True)

    assert taken == pushed
    assert len(ring) == 0


def test_what_was_taken_is_not_overwritten_by_what_is_pushed_later():
    ring = CompletionRing(2)
    ring.push(1, 2)
    taken = ring.take()

    ring.push(3, 4)
    ring.push(5, 6)

    assert taken.issued_at_ns.tolist() == [1]
    assert ring.take_one().completed_at_ns == 4
    assert len(ring) == 1
