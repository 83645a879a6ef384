"""What every budget promises, over random schedules of tasks that reserve, hold, shrink and are cancelled."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import count, groupby, pairwise

import pytest
import trio
import trio.testing
from hypothesis import given, settings
from hypothesis import strategies as st

from asyncbench.memory.budget import MemoryBudget
from asyncbench.memory.forecast import MemoryForecast
from asyncbench.memory.joint_budget import JointBudget
from asyncbench.memory.limited_budget import LimitedBudget

LIMIT = 100
FOREVER_S = 10_000


@dataclass(frozen=True)
class Visit:
    start_s: int
    size: int
    hold_s: int
    cancel_at_s: int | None
    shrink_by: int


visits = st.builds(
    Visit,
    start_s=st.integers(0, 8),
    size=st.integers(0, LIMIT),
    hold_s=st.integers(0, 5),
    cancel_at_s=st.none() | st.integers(0, 12),
    shrink_by=st.integers(0, 30),
)


@dataclass
class Log:
    """Who asked in which order, who was granted when, and who went away without."""

    granted: list[tuple[float, int]] = field(default_factory=list)
    left_at_s: dict[int, float] = field(default_factory=dict)
    asked: count = field(default_factory=count)


def limited():
    return LimitedBudget(LIMIT, name="device", flag="--memory-budget")


def shrink_whole(grant, to):
    grant.shrink(max(0, min(to, grant.size_bytes)))


@dataclass
class Subject:
    """A composition under test; `bottoms` are where bytes are charged."""

    budget: MemoryBudget
    bottoms: list[LimitedBudget]

    def reserve(self, size):
        return self.budget.reserve(size)

    def shrink(self, grant, to):
        shrink_whole(grant, to)


@dataclass
class JointSubject:
    budget: JointBudget
    bottoms: list[LimitedBudget]

    def reserve(self, size):
        return self.budget.reserve(MemoryForecast(device_bytes=size, host_bytes=0 if len(self.bottoms) == 1 else size))

    def shrink(self, grant, to):
        grant.shrink(MemoryForecast(device_bytes=max(0, to), host_bytes=0))


def plain():
    bottom = limited()
    return Subject(bottom, [bottom])


def joint():
    device, host = limited(), limited()
    return JointSubject(JointBudget.separate(device=device, host=host), [device, host])


def pooled():
    pool = limited()
    return JointSubject(JointBudget.pooled(pool), [pool])


COMPOSITIONS = [plain, joint, pooled]


async def visit(one, subject, log, check):
    await trio.sleep(one.start_s)
    deadline = FOREVER_S if one.cancel_at_s is None else one.cancel_at_s
    index = next(log.asked)
    with trio.CancelScope(deadline=deadline):
        async with subject.reserve(one.size) as grant:
            log.granted.append((trio.current_time(), index))
            check()
            await trio.sleep(one.hold_s / 2)
            subject.shrink(grant, one.size - one.shrink_by)
            check()
            await trio.sleep(one.hold_s / 2)
    log.left_at_s[index] = trio.current_time()
    check()


def run_schedule(schedule, subject):
    log = Log()

    def check():
        for bottom in subject.bottoms:
            now = bottom.statistics()
            assert 0 <= now.granted_bytes <= LIMIT
            # Whoever is first does not wait while there is room.
            assert not bottom._queue or now.granted_bytes + bottom._queue[0].size_bytes > LIMIT

    async def main():
        with trio.fail_after(FOREVER_S - 1):
            async with trio.open_nursery() as nursery:
                for one in schedule:
                    nursery.start_soon(visit, one, subject, log, check)

    trio.run(main, clock=trio.testing.MockClock(autojump_threshold=0))
    return log


@pytest.mark.parametrize("composition", COMPOSITIONS)
@settings(max_examples=settings.default.max_examples * 3 // 5)
@given(schedule=st.lists(visits, max_size=12))
def test_nothing_leaks_nothing_exceeds_the_limit_and_nobody_overtakes(composition, schedule):
    subject = composition()

    log = run_schedule(schedule, subject)

    assert [(bottom.statistics().granted_bytes, bottom.statistics().waiting) for bottom in subject.bottoms] == [
        (0, 0) for _ in subject.bottoms
    ]
    assert grants_in_order(log)


@pytest.mark.parametrize("composition", COMPOSITIONS)
@settings(max_examples=settings.default.max_examples * 3 // 10)
@given(schedule=st.lists(visits.map(lambda one: Visit(one.start_s, one.size, one.hold_s, None, 0)), max_size=12))
def test_whoever_is_not_cancelled_is_served(composition, schedule):
    log = run_schedule(schedule, composition())

    assert sorted(index for _, index in log.granted) == list(range(len(schedule)))


@pytest.mark.parametrize("composition", COMPOSITIONS)
async def test_small_ones_behind_a_large_one_do_not_starve_it(composition, autojump_clock):
    subject, log = composition(), Log()
    # One after the other, so that without an order the small ones would always leave too little.
    small = [Visit(start_s=start, size=40, hold_s=3, cancel_at_s=None, shrink_by=0) for start in range(20)]
    large = Visit(start_s=5, size=LIMIT, hold_s=1, cancel_at_s=None, shrink_by=0)

    async with trio.open_nursery() as nursery:
        nursery.start_soon(visit, large, subject, log, int)
        for one in small:
            nursery.start_soon(visit, one, subject, log, int)

    assert sorted(index for _, index in log.granted) == list(range(21))
    assert grants_in_order(log)


@pytest.mark.parametrize("composition", COMPOSITIONS)
async def test_cancelling_the_first_in_the_queue_lets_the_next_one_through(composition, autojump_clock):
    subject, log = composition(), Log()

    async with trio.open_nursery() as nursery:
        for one in [
            Visit(start_s=0, size=60, hold_s=100, cancel_at_s=None, shrink_by=0),
            Visit(start_s=1, size=80, hold_s=1, cancel_at_s=5, shrink_by=0),
            Visit(start_s=2, size=40, hold_s=1, cancel_at_s=None, shrink_by=0),
        ]:
            nursery.start_soon(visit, one, subject, log, int)

    assert log.granted == [(0, 0), (5, 2)]


@pytest.mark.parametrize("composition", COMPOSITIONS)
async def test_a_reservation_inside_a_cancelled_scope_holds_nothing(composition):
    subject = composition()
    entered = False

    with trio.CancelScope() as scope:
        scope.cancel()
        async with subject.reserve(10):
            entered = True

    assert scope.cancelled_caught
    assert not entered
    assert all(bottom.statistics().granted_bytes == 0 for bottom in subject.bottoms)


@pytest.mark.parametrize("composition", COMPOSITIONS)
async def test_an_error_while_holding_gives_all_back(composition):
    subject = composition()

    with pytest.raises(ZeroDivisionError):
        async with subject.reserve(10):
            raise ZeroDivisionError

    assert all(bottom.statistics().granted_bytes == 0 for bottom in subject.bottoms)


def grants_in_order(log):
    """Whether whoever was granted at a later instant had asked later; within an instant Trio shuffles the log."""
    instants = [[index for _, index in group] for _, group in groupby(sorted(log.granted), key=lambda grant: grant[0])]
    return all(max(earlier) < min(later) for earlier, later in pairwise(instants))
