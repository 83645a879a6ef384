"""How many inferences lanes may hold ahead: Trio looks every 20 ms, and may be late."""

from __future__ import annotations

import pytest

from asyncbench.backends.lane_credits import credits_at, credits_per_lane
from asyncbench.clock import NS_PER_MS

LOOK_NS = 20 * NS_PER_MS


@pytest.mark.parametrize("lanes", [1, 2, 3, 16, 100])
def test_what_lanes_hold_lasts_three_looks_at_a_microsecond_an_inference_over_all_of_them(lanes):
    assert lanes * credits_per_lane(lanes, at_least=1) * 1_000 >= 3 * LOOK_NS


def test_many_lanes_hold_little_more_than_one_but_never_less_than_asked():
    assert credits_per_lane(16, at_least=1) * 16 == credits_per_lane(1, at_least=1)
    assert credits_per_lane(1_000, at_least=1_024) == 1_024


@pytest.mark.parametrize("service_ns", [1_000, 4_000, 140_000, 10**9])
def test_a_lane_of_a_known_rate_holds_what_lasts_three_looks(service_ns):
    assert 1_024 <= credits_at(service_ns, at_least=1_024) <= 1 << 16
    assert credits_at(service_ns, at_least=1_024) * service_ns >= 3 * LOOK_NS


def test_a_service_time_of_nothing_is_not_divided_by():
    assert credits_at(0, at_least=1) == 1 << 16
