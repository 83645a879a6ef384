"""Waits of workers that take turns on lanes, against a simulation that moves every worker by hand."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from heapq import heappop, heappush
from itertools import permutations

import numpy as np
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from asyncbench.measurement.queueing import QueueWaitEstimator
from asyncbench.measurement.stamps import Completions

STARTED_AT_NS = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """One inference, and the worker whose turn it was."""

    worker: int
    lane: int
    wanted_at_ns: int
    issued_at_ns: int
    completed_at_ns: int

    @property
    def wait_ns(self):
        return self.issued_at_ns - self.wanted_at_ns

    @property
    def response_ns(self):
        return self.completed_at_ns - self.wanted_at_ns


def simulate(services_ns, *, workers, lanes):
    """Return the turns of workers that queue first come, first served, in the order of their issue."""
    queue = deque((STARTED_AT_NS, worker) for worker in range(workers))
    free, in_flight, turns = deque(range(lanes)), [], []
    now_ns = STARTED_AT_NS
    for service_ns in services_ns:
        if not free or not queue:
            now_ns, _, done = heappop(in_flight)
            free.append(done.lane)
            queue.append((now_ns, done.worker))
        wanted_at_ns, worker = queue.popleft()
        turn = Turn(
            worker=worker,
            lane=free.popleft(),
            wanted_at_ns=wanted_at_ns,
            issued_at_ns=now_ns,
            completed_at_ns=now_ns + service_ns,
        )
        turns.append(turn)
        heappush(in_flight, (turn.completed_at_ns, len(turns), turn))
    return turns


@st.composite
def runs(draw):
    """Return the turns of a run, its workers and how many sources there are, and whose turns each of these has."""
    lanes = draw(st.integers(1, 4))
    workers = draw(st.integers(lanes, 9))
    services_ns = draw(st.lists(st.integers(1, 300), min_size=1, max_size=60))
    by_lane = draw(st.booleans())  # the pump; by worker: the await driver
    return run_of(services_ns, workers=workers, lanes=lanes, by_lane=by_lane)


def meter_of(workers):
    meter = QueueWaitEstimator(workers=workers)
    meter.start(STARTED_AT_NS)
    return meter


def record(meter, source, turns):
    done = Completions(
        issued_at_ns=np.array([turn.issued_at_ns for turn in turns], dtype=np.int64),
        completed_at_ns=np.array([turn.completed_at_ns for turn in turns], dtype=np.int64),
    )
    meter.record(done, source)


def settled_at_the_end(workers, sources, *, opened_at_ns=0):
    meter = meter_of(workers)
    meter.open(opened_at_ns)
    for source, turns in enumerate(sources):
        record(meter, source, turns)
    meter.settle(2**62, busy=())
    return meter


def seen(histogram):
    """Return all that a histogram can tell: it tells values below 2048 exactly."""
    ranks = [histogram.position_at_rank(rank) for rank in range(1, histogram.count + 1)]
    return histogram.count, histogram.total_ns, histogram.min_ns, histogram.max_ns, ranks


def assert_counted(meter, turns):
    """Check waits, and responses as far as they do not depend on whose turn each is."""
    expected = QueueWaitEstimator(workers=1)
    expected.wait.record(np.array([turn.wait_ns for turn in turns], dtype=np.int64))
    expected.response.record(np.array([turn.response_ns for turn in turns], dtype=np.int64))
    assert seen(meter.wait) == seen(expected.wait)
    assert meter.response.total_ns == expected.response.total_ns


def are_told_apart(turns):
    """Say whether turns that begin at one instant were also wanted at one: whose is which does not matter then."""
    return len({turn.issued_at_ns for turn in turns}) == len({(turn.issued_at_ns, turn.wanted_at_ns) for turn in turns})


def run_of(services_ns, *, workers, lanes, by_lane):
    """Return what `runs` does, of one run."""
    turns = simulate(services_ns, workers=workers, lanes=lanes)
    sources = [[] for _ in range(lanes if by_lane else workers)]
    for turn in turns:
        sources[turn.lane if by_lane else turn.worker].append(turn)
    return workers, turns, sources


# At 1001 ns two lanes begin at once: for a worker that waited since 1000 ns, and for one that wants it just then.
ONE_THAT_WAITED_AND_ONE_THAT_DID_NOT = run_of([1, 1, 1, 2, 1], workers=4, lanes=3, by_lane=True)


@given(runs())
@example(ONE_THAT_WAITED_AND_ONE_THAT_DID_NOT)
def test_waits_are_those_of_workers_that_queue_first_come_first_served(run):
    workers, turns, sources = run

    meter = settled_at_the_end(workers, sources)

    assert_counted(meter, turns)


@given(runs())
def test_responses_are_those_of_the_workers_where_stamps_tell_whose_turn_each_is(run):
    workers, turns, sources = run
    assume(are_told_apart(turns))

    meter = settled_at_the_end(workers, sources)

    expected = QueueWaitEstimator(workers=1).response
    expected.record(np.array([turn.response_ns for turn in turns], dtype=np.int64))
    assert seen(meter.response) == seen(expected)


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_responses_do_not_depend_on_which_lane_was_looked_at_first(order):
    workers, _, sources = ONE_THAT_WAITED_AND_ONE_THAT_DID_NOT
    meter = meter_of(workers)
    meter.open(0)

    for source in order:
        record(meter, source, sources[source])
    meter.settle(2_000, busy=())

    assert seen(meter.response) == seen(settled_at_the_end(workers, sources).response)


def test_of_turns_that_begin_at_one_instant_the_first_to_end_counts_as_the_first_that_was_wanted():
    # Two turns that begin at 1001 ns, of workers that queue since 1000 and 1001: either could be the longer one.
    meter = QueueWaitEstimator(workers=2)
    meter.start(1_000)
    meter.open(0)
    record(meter, 0, [stamped(1_000, 1_001), stamped(1_001, 1_009)])
    record(meter, 1, [stamped(1_001, 1_003)])

    meter.settle(2_000, busy=())

    assert (meter.wait.count, meter.wait.total_ns) == (3, 0 + 1 + 0)
    assert [meter.response.position_at_rank(rank) for rank in (1, 2, 3)] == [1, 3, 8]


@given(runs(), st.data())
def test_settling_at_any_instants_with_any_part_known_is_as_good_as_settling_once(run, data):
    workers, turns, sources = run
    last_ns = max(turn.completed_at_ns for turn in turns)
    meter = meter_of(workers)
    meter.open(0)
    recorded = [0] * len(sources)

    for now_ns in sorted(data.draw(st.lists(st.integers(STARTED_AT_NS, last_ns + 10), max_size=12))):
        busy = [
            source
            for source in range(len(sources))
            if look(meter, sources[source], recorded, source=source, now_ns=now_ns, data=data)
        ]
        meter.settle(now_ns, busy=busy)
    for source, its_turns in enumerate(sources):
        record(meter, source, its_turns[recorded[source] :])
    meter.settle(last_ns + 10, busy=())

    at_once = settled_at_the_end(workers, sources)
    assert seen(meter.wait) == seen(at_once.wait)
    assert seen(meter.response) == seen(at_once.response)


def look(meter, turns, recorded, *, source, now_ns, data):
    """Record what a source has completed when it is looked at, some time after `now_ns`; say whether it is busy.

    A source that is called busy may also keep some back.
    """
    looked_at_ns = now_ns + data.draw(st.integers(0, 100))
    known = max(recorded[source], sum(turn.completed_at_ns <= looked_at_ns for turn in turns))
    is_busy = known < len(turns) and turns[known].issued_at_ns <= looked_at_ns
    if is_busy or data.draw(st.booleans()):
        is_busy = True
        known = data.draw(st.integers(recorded[source], known))
    record(meter, source, turns[recorded[source] : known])
    recorded[source] = known
    return is_busy


@given(runs(), st.data())
def test_a_window_counts_what_completes_after_its_opening_up_to_its_closing(run, data):
    workers, turns, sources = run
    ends_ns = sorted(turn.completed_at_ns for turn in turns)
    opened_at_ns = data.draw(st.sampled_from(ends_ns))
    closed_at_ns = data.draw(st.sampled_from([end for end in ends_ns if end >= opened_at_ns]))
    meter = meter_of(workers)
    recorded = [0] * len(sources)

    def see_until(now_ns):
        for source, its_turns in enumerate(sources):
            known = sum(turn.completed_at_ns <= now_ns for turn in its_turns)
            record(meter, source, its_turns[recorded[source] : known])
            recorded[source] = known
        busy = [source for source, its_turns in enumerate(sources) if recorded[source] < len(its_turns)]
        meter.settle(now_ns, busy=busy)

    see_until(opened_at_ns)
    meter.open(opened_at_ns)
    see_until(closed_at_ns)
    meter.close(closed_at_ns)
    see_until(ends_ns[-1])

    inside = [turn for turn in turns if opened_at_ns < turn.completed_at_ns <= closed_at_ns]
    assert meter.wait.count == meter.response.count == len(inside)
    if are_told_apart(turns):
        assert meter.wait.total_ns == sum(turn.wait_ns for turn in inside)
        assert meter.response.total_ns == sum(turn.response_ns for turn in inside)


@given(runs())
def test_littles_law_holds_for_workers_each_of_whom_always_waits_or_is_served(run):
    workers, turns, sources = run
    last_ns = {turn.worker: turn.completed_at_ns - STARTED_AT_NS for turn in turns}

    meter = settled_at_the_end(workers, sources)

    # Rate times mean response is the number of workers: the responses of a worker leave no gap up to its last one.
    assert meter.response.total_ns == sum(last_ns.values())


def test_workers_in_turn_wait_for_as_many_services_as_there_are_before_them():
    turns = simulate([100] * 40, workers=4, lanes=1)

    meter = settled_at_the_end(4, [turns], opened_at_ns=STARTED_AT_NS + 400)

    assert (meter.wait.min_ns, meter.wait.max_ns) == (300, 300)
    assert (meter.response.min_ns, meter.response.max_ns) == (400, 400)


def stamped(issued_at_ns, completed_at_ns):
    """Return a turn of which only the stamps matter."""
    return Turn(worker=0, lane=0, wanted_at_ns=0, issued_at_ns=issued_at_ns, completed_at_ns=completed_at_ns)


def test_a_new_start_forgets_who_queued_before_it():
    meter = QueueWaitEstimator(workers=3)
    meter.start(0)
    record(meter, 0, [Turn(worker=0, lane=0, wanted_at_ns=0, issued_at_ns=0, completed_at_ns=50)])
    meter.settle(60, busy=())

    meter.start(1_000)
    meter.open(50)
    again = [(1_000, 1_010), (1_010, 1_020), (1_020, 1_030), (1_030, 1_040)]
    record(
        meter,
        0,
        [Turn(worker=0, lane=0, wanted_at_ns=0, issued_at_ns=issued, completed_at_ns=end) for issued, end in again],
    )
    meter.settle(2_000, busy=())

    assert (meter.wait.count, meter.wait.total_ns) == (4, 0 + 10 + 20 + 20)


def test_a_lane_that_issues_ahead_of_its_workers_makes_nobody_wait_and_no_response_shorter_than_its_service():
    meter = QueueWaitEstimator(workers=1)
    meter.start(0)
    meter.open(0)
    ahead = [(0, 100), (10, 200), (100, 300)]

    record(
        meter,
        0,
        [Turn(worker=0, lane=0, wanted_at_ns=0, issued_at_ns=issued, completed_at_ns=end) for issued, end in ahead],
    )
    meter.settle(300, busy=())

    assert meter.wait.max_ns == 0
    assert meter.response.total_ns == 100 + 190 + 200


@pytest.mark.parametrize("busy", [(), (0,)])
def test_settling_before_anything_completed_counts_nothing(busy):
    meter = QueueWaitEstimator(workers=2)
    meter.start(0)
    meter.open(0)

    meter.settle(10, busy=busy)

    assert meter.wait.count == 0
