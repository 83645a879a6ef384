from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from asyncbench.clock import NS_PER_MS, NS_PER_S
from asyncbench.memory.governor_rule import GovernorRule, LaneGovernor, LaneReading

RULE = GovernorRule(reserve_bytes=100, settle_ns=NS_PER_S)
TICK_NS = 100 * NS_PER_MS
SETTLE_TICKS = 10


def reading(available_bytes, *, active=4, resident=8, lane_bytes=40, now_ns=0):
    return LaneReading(
        available_bytes=available_bytes, lane_bytes=lane_bytes, active=active, resident=resident, now_ns=now_ns
    )


@pytest.mark.parametrize(
    ("available_bytes", "lanes"),
    [
        (100, 4),  # the reserve itself is no pressure
        (99, 3),  # one lane at least
        (60, 3),  # 60 + 40 = 100: one is enough
        (59, 2),
        (25, 2),  # the floor is a quarter of the reserve
        (20, 2),
        (-60, 1),  # one lane leaves the floor: -60 + 3 x 40 = 60
        (-96, 0),
    ],
)
def test_below_the_reserve_as_many_lanes_go_at_once_as_bring_it_back(available_bytes, lanes):
    assert LaneGovernor(RULE).next_lanes(reading(available_bytes)) == lanes


@pytest.mark.parametrize(("available_bytes", "lanes"), [(99, 1), (25, 1), (24, 0)])
def test_the_last_lane_stays_until_a_quarter_of_the_reserve(available_bytes, lanes):
    assert LaneGovernor(RULE).next_lanes(reading(available_bytes, active=1)) == lanes


def test_lanes_without_memory_go_one_at_a_time():
    assert LaneGovernor(RULE).next_lanes(reading(0, lane_bytes=0)) == 3


@pytest.mark.parametrize(("available_bytes", "lanes"), [(149, 4), (150, 5)])
def test_a_lane_comes_back_after_settled_room_for_it_and_a_quarter(available_bytes, lanes):
    governor = LaneGovernor(RULE)

    early = [governor.next_lanes(reading(available_bytes, now_ns=now_ns)) for now_ns in (5, NS_PER_S + 4)]

    assert early == [4, 4]
    assert governor.next_lanes(reading(available_bytes, now_ns=NS_PER_S + 5)) == lanes


def test_a_break_starts_the_wait_again():
    governor = LaneGovernor(RULE)

    governor.next_lanes(reading(200, now_ns=0))
    governor.next_lanes(reading(140, now_ns=NS_PER_S // 2))
    again = [governor.next_lanes(reading(200, now_ns=now_ns)) for now_ns in (NS_PER_S, 2 * NS_PER_S - 1, 2 * NS_PER_S)]

    assert again == [4, 4, 5]


def test_the_next_lane_waits_as_long_again():
    governor = LaneGovernor(RULE)
    governor.next_lanes(reading(10_000, now_ns=0))
    governor.next_lanes(reading(10_000, now_ns=NS_PER_S))

    then = [
        governor.next_lanes(reading(10_000, active=5, now_ns=now_ns))
        for now_ns in (NS_PER_S + 1, 2 * NS_PER_S, 2 * NS_PER_S + 1)
    ]

    assert then == [5, 5, 6]


def test_an_answer_is_repeated_until_it_is_followed():
    governor = LaneGovernor(RULE)
    governor.next_lanes(reading(200, now_ns=0))

    answers = [governor.next_lanes(reading(200, now_ns=now_ns)) for now_ns in range(NS_PER_S, 5 * NS_PER_S, TICK_NS)]

    assert set(answers) == {5}


def test_the_first_lane_comes_back_above_the_floor_though_the_reserve_is_short():
    governor = LaneGovernor(RULE)
    governor.next_lanes(reading(75, active=0, now_ns=0))

    assert governor.next_lanes(reading(75, active=0, now_ns=NS_PER_S)) == 1
    assert governor.next_lanes(reading(35, active=1, now_ns=NS_PER_S + 1)) == 1


def test_no_lane_comes_back_too_near_to_the_floor():
    governor = LaneGovernor(RULE)
    governor.next_lanes(reading(74, active=0, now_ns=0))

    assert governor.next_lanes(reading(74, active=0, now_ns=NS_PER_S)) == 0


def simulate(governor, *, left_bytes, lane_bytes, active, resident):
    """Follow the governor on a machine where others leave so much at each tick; return the lanes after each."""
    lanes = []
    for tick, left_to_lanes_bytes in enumerate(left_bytes):
        available_bytes = left_to_lanes_bytes - active * lane_bytes
        active = governor.next_lanes(
            reading(available_bytes, active=active, resident=resident, lane_bytes=lane_bytes, now_ns=tick * TICK_NS)
        )
        lanes.append(active)
    return lanes


def turns(lanes):
    """How often the lanes change from falling to rising or back."""
    steps = [after - before for before, after in pairwise(lanes) if after != before]
    return sum((first > 0) != (second > 0) for first, second in pairwise(steps))


rules = st.builds(GovernorRule, reserve_bytes=st.integers(0, 200), settle_ns=st.just(NS_PER_S))
lane_sizes = st.integers(0, 60)
resident_counts = st.integers(1, 12)


@given(
    rule=rules,
    lane_bytes=lane_sizes,
    resident=resident_counts,
    left_bytes=st.integers(-200, 900),
    started=st.integers(0, 12),
)
@example(rule=RULE, lane_bytes=40, resident=3, left_bytes=100, started=3)  # all lanes at once would be one too many
def test_under_a_constant_load_the_lanes_never_turn_round_and_settle(rule, lane_bytes, resident, left_bytes, started):
    active = min(started, resident)

    lanes = simulate(
        LaneGovernor(rule),
        left_bytes=[left_bytes] * (resident + 2) * (SETTLE_TICKS + 1) * 2,
        lane_bytes=lane_bytes,
        active=active,
        resident=resident,
    )

    assert turns([active, *lanes]) == 0
    assert len(set(lanes[len(lanes) // 2 :])) == 1


@given(rule=rules, lane_bytes=lane_sizes, resident=resident_counts, load=st.lists(st.integers(-200, 900), max_size=60))
def test_all_lanes_are_back_when_the_pressure_is_gone_long_enough(rule, lane_bytes, resident, load):
    quiet_bytes = rule.reserve_bytes + (resident + 1) * lane_bytes

    lanes = simulate(
        LaneGovernor(rule),
        left_bytes=[*load, *[quiet_bytes] * ((SETTLE_TICKS + 1) * resident + 1)],
        lane_bytes=lane_bytes,
        active=resident,
        resident=resident,
    )

    assert lanes[-1] == resident


@given(
    rule=rules,
    lane_bytes=lane_sizes,
    resident=resident_counts,
    load=st.lists(st.integers(-200, 400), max_size=60),
    active=st.integers(0, 20),
)
def test_lanes_stay_in_their_bounds_and_rise_by_one(rule, lane_bytes, resident, load, active):
    governor = LaneGovernor(rule)
    for tick, available_bytes in enumerate(load):
        before = active

        active = governor.next_lanes(
            reading(available_bytes, active=before, resident=resident, lane_bytes=lane_bytes, now_ns=tick * TICK_NS)
        )

        assert 0 <= active <= resident
        assert active <= before + 1
        if rule.floor_bytes <= available_bytes and before >= 1:
            assert active >= 1
        if available_bytes < rule.reserve_bytes and before > 1:
            assert active < before
            assert (
                active <= 1 or available_bytes + (before - active) * lane_bytes >= rule.reserve_bytes or not lane_bytes
            )


@given(
    device=st.lists(st.integers(0, 6_000), max_size=40),
    host=st.lists(st.integers(0, 6_000), max_size=40),
    resident=st.integers(1, 8),
)
def test_of_two_memories_the_smaller_answer_brings_all_lanes_back(device, host, resident):
    governors = (LaneGovernor(RULE), LaneGovernor(RULE))
    length = max(len(device), len(host)) + (SETTLE_TICKS + 1) * (resident + 1)
    active = resident

    for tick in range(length):
        # Once a list has ended that memory has room for all.
        readings = [load[tick] if tick < len(load) else 10_000 for load in (device, host)]
        active = min(
            governor.next_lanes(reading(free_bytes, active=active, resident=resident, now_ns=tick * TICK_NS))
            for governor, free_bytes in zip(governors, readings, strict=True)
        )

    assert active == resident
