"""The closed loop's account."""

from hypothesis import given
from hypothesis import strategies as st

from asyncbench.runner.load import Load


@given(
    limit=st.integers(min_value=0, max_value=5000),
    workers=st.integers(min_value=1, max_value=32),
    wishes=st.lists(st.integers(min_value=1, max_value=4096), min_size=1, max_size=50),
)
def test_a_limited_load_hands_out_exactly_its_limit(limit, workers, wishes):
    load = Load(workers=workers, limit=limit)

    taken = sum(load.take(wish) for wish in wishes)
    while share := load.take(1):
        taken += share

    assert taken == limit
    assert load.stopped


@given(wanted=st.integers(min_value=1, max_value=10_000))
def test_a_load_without_a_limit_hands_out_what_is_wanted_until_it_is_stopped(wanted):
    load = Load(workers=3)

    before = load.take(wanted)
    load.stop()
    after = load.take(wanted)

    assert (before, after) == (wanted, 0)


def test_near_the_limit_no_worker_gets_more_than_half_of_its_share():
    load = Load(workers=4, limit=80)

    share = load.take(1000)

    assert share == 10


def test_rights_that_are_given_back_are_handed_out_again():
    load = Load(workers=1, limit=1)
    load.take(1)

    load.give_back(1)

    assert load.take(1) == 1
