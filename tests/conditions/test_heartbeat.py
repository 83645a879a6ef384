"""Heartbeat: a process that stood still is told from one that is busy, slow or crowded out."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncbench.clock import NS_PER_MS, NS_PER_S
from asyncbench.conditions.heartbeat import Heartbeat
from asyncbench.results.cell_parts import Stalls

TICK_NS = 50 * NS_PER_MS


class Machine:
    """The clocks of a process that beats, and what befalls it."""

    def __init__(self, *, cores_used=1.0):
        self.now_ns = 10 * NS_PER_S
        self.cpu_ns = 0
        self.suspended_ns = 0
        self.cores_used = cores_used
        self.heart = Heartbeat(
            lambda: self.now_ns,
            every_ns=TICK_NS,
            cpu_time_ns=lambda: self.cpu_ns,
            suspended_ns=lambda: self.suspended_ns,
        )

    def run(self, for_ns, *, gap_ns=TICK_NS):
        """Beat as usual."""
        for _ in range(for_ns // gap_ns):
            self.late(gap_ns, cores_used=self.cores_used)

    def late(self, gap_ns, *, cores_used):
        """Beat once after a gap in which so many cores were used; return what the beat says."""
        self.now_ns += gap_ns
        self.cpu_ns += int(gap_ns * cores_used)
        return self.heart.beat()

    def stop(self, for_ns):
        """Be stopped in the middle between two beats."""
        return self.late(TICK_NS + for_ns, cores_used=self.cores_used * TICK_NS / (TICK_NS + for_ns))

    def stalls(self, opened_at_ns=0):
        return self.heart.stalls(opened_at_ns=opened_at_ns, ended_at_ns=self.now_ns)


@pytest.mark.parametrize("cores_used", [0.01, 1.0, 16.0, 64.0])
@pytest.mark.parametrize("for_ns", [4 * NS_PER_S, NS_PER_S, 300 * NS_PER_MS])
def test_a_process_that_was_stopped_stood_still_however_busy_it_was(cores_used, for_ns):
    machine = Machine(cores_used=cores_used)
    machine.run(NS_PER_S)

    assert machine.stop(for_ns)

    machine.run(NS_PER_S)
    assert machine.stalls() == Stalls(n=1, total_ns=for_ns, longest_ns=for_ns)


def test_a_regular_heart_saw_nothing():
    machine = Machine()

    machine.run(60 * NS_PER_S)

    assert machine.stalls() is None


@pytest.mark.parametrize("cores_used", [0.5, 1.0, 2.0])
def test_a_beat_that_lanes_held_up_by_computing_is_no_stall(cores_used):
    machine = Machine(cores_used=2.0 * cores_used)
    machine.run(NS_PER_S)

    assert not machine.late(2 * NS_PER_S, cores_used=cores_used)
    assert machine.stalls() is None


def test_a_beat_that_is_a_fifth_of_a_second_late_is_no_stall_even_if_nothing_was_computed():
    machine = Machine()
    machine.run(NS_PER_S)

    assert not machine.late(200 * NS_PER_MS, cores_used=0.0)


def test_where_beats_are_late_as_a_rule_one_of_them_is_no_stall():
    machine = Machine(cores_used=0.05)
    machine.run(10 * NS_PER_S, gap_ns=200 * NS_PER_MS)

    assert not machine.late(1_500 * NS_PER_MS, cores_used=0.0)
    assert machine.late(3 * NS_PER_S, cores_used=0.0)


def test_only_what_lies_in_the_window_counts():
    machine = Machine()
    machine.run(NS_PER_S)
    machine.stop(2 * NS_PER_S)
    opened_at_ns = machine.now_ns
    machine.run(NS_PER_S)
    machine.stop(NS_PER_S)
    ended_at_ns = machine.now_ns - 600 * NS_PER_MS
    machine.stop(3 * NS_PER_S)

    stalls = machine.heart.stalls(opened_at_ns=opened_at_ns, ended_at_ns=ended_at_ns)

    assert stalls == Stalls(n=1, total_ns=450 * NS_PER_MS, longest_ns=450 * NS_PER_MS)


def test_what_is_left_of_a_stall_at_an_edge_of_the_window_counts_only_if_it_is_one():
    machine = Machine()
    machine.run(NS_PER_S)
    before_ns = machine.now_ns
    machine.stop(4 * NS_PER_S)

    stalls = machine.heart.stalls(opened_at_ns=0, ended_at_ns=before_ns + 100 * NS_PER_MS)

    assert stalls is None


def test_a_time_in_which_nobody_listened_is_no_stall():
    machine = Machine()
    machine.run(NS_PER_S)
    machine.now_ns += 60 * NS_PER_S

    machine.heart.start()

    assert not machine.late(TICK_NS, cores_used=1.0)
    assert machine.stalls() is None


def test_a_suspended_machine_is_seen_though_the_clock_stood_still():
    machine = Machine()
    machine.run(NS_PER_S)
    machine.suspended_ns += 8 * NS_PER_S

    assert machine.late(TICK_NS, cores_used=1.0)

    assert machine.stalls() == Stalls(n=0, total_ns=0, longest_ns=0, suspended_ns=8 * NS_PER_S)
    assert machine.stalls(opened_at_ns=machine.now_ns + 1) is None


def test_whoever_asks_after_a_stall_hears_that_it_was_later():
    machine = Machine()
    machine.run(NS_PER_S)
    before_ns = machine.now_ns

    machine.stop(NS_PER_S)

    assert machine.heart.stalled_since(before_ns)
    assert not machine.heart.stalled_since(machine.now_ns)


@given(
    stops_ms=st.lists(st.integers(0, 3_000), max_size=6),
    cores_used=st.sampled_from([0.02, 1.0, 2.0, 32.0]),
)
def test_stalls_are_never_more_than_the_stops_and_miss_only_short_ones(stops_ms, cores_used):
    machine = Machine(cores_used=cores_used)
    for stop_ms in stops_ms:
        machine.run(NS_PER_S)
        machine.stop(stop_ms * NS_PER_MS)

    found = machine.stalls()

    assert (found.total_ns if found else 0) <= sum(stops_ms) * NS_PER_MS
    assert (found.n if found else 0) >= sum(stop_ms >= 800 for stop_ms in stops_ms)
