from __future__ import annotations

from contextlib import AsyncExitStack

import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st
from trio.testing import MockClock, wait_all_tasks_blocked

from asyncbench.errors import DoesNotFitError
from asyncbench.memory.budget import BudgetStatistics
from asyncbench.memory.limited_budget import LimitedBudget
from asyncbench.memory.pressure_budget import PressureBudget


class Machine:
    """Memory that others use, too."""

    def __init__(self, free_bytes=100):
        self.free_bytes = free_bytes

    def read(self):
        return self.free_bytes


def pressed(machine, limit_bytes=100):
    return PressureBudget(LimitedBudget(limit_bytes, name="device", flag="--memory-budget"), machine.read)


async def hold(budget, size_bytes, until, granted):
    async with budget.reserve(size_bytes):
        granted.append(size_bytes)
        await until.wait()


async def test_a_reservation_waits_until_that_much_is_really_free(nursery):
    machine, done, granted = Machine(free_bytes=10), trio.Event(), []
    budget = pressed(machine)
    nursery.start_soon(hold, budget, 50, done, granted)
    await wait_all_tasks_blocked()

    machine.free_bytes = 49
    budget.recheck()
    await wait_all_tasks_blocked()
    before = budget.statistics()
    machine.free_bytes = 50
    budget.recheck()
    await wait_all_tasks_blocked()

    assert before == BudgetStatistics(limit_bytes=100, granted_bytes=0, waiting=1)
    assert budget.statistics() == BudgetStatistics(limit_bytes=100, granted_bytes=50, waiting=0)
    done.set()


async def test_nobody_overtakes_who_waits_for_free_memory(nursery):
    machine, done, granted = Machine(free_bytes=10), trio.Event(), []
    budget = pressed(machine)
    for size_bytes in (50, 5):
        nursery.start_soon(hold, budget, size_bytes, done, granted)
        await wait_all_tasks_blocked()

    with pytest.raises(DoesNotFitError) as caught, budget.reserve_nowait(5):
        pass

    assert caught.value.facts == {"requested_bytes": 5, "available_bytes": 0}
    assert granted == []
    assert budget.statistics().waiting == 2
    done.set()
    machine.free_bytes = 100
    budget.recheck()


async def test_memory_that_was_granted_but_not_taken_is_spoken_for():
    budget = pressed(Machine(free_bytes=60))

    async with budget.reserve(40):
        with pytest.raises(DoesNotFitError) as caught, budget.reserve_nowait(30):
            pass

    assert caught.value.message == "30 B are needed, 20 B are free now"
    assert caught.value.facts == {"requested_bytes": 30, "available_bytes": 20}


async def test_memory_that_was_taken_is_counted_by_the_reading_alone():
    machine = Machine(free_bytes=60)
    budget = pressed(machine)

    async with budget.reserve(40) as grant:
        machine.free_bytes = 20
        grant.mark_taken()
        with budget.reserve_nowait(20) as second:
            assert second.size_bytes == 20


async def test_room_is_never_negative():
    machine = Machine(free_bytes=60)
    budget = pressed(machine)

    async with budget.reserve(40):
        machine.free_bytes = 10
        with budget.reserve_nowait(0), pytest.raises(DoesNotFitError) as caught, budget.reserve_nowait(1):
            pass

    assert caught.value.facts["available_bytes"] == 0


async def test_a_grant_that_ends_lets_the_next_one_read_again(nursery):
    machine, done, granted = Machine(free_bytes=100), trio.Event(), []
    budget = pressed(machine, limit_bytes=1_000)

    async with budget.reserve(80):
        nursery.start_soon(hold, budget, 50, done, granted)
        await wait_all_tasks_blocked()
        waiting = budget.statistics().waiting
    await wait_all_tasks_blocked()

    assert (waiting, granted) == (1, [50])
    done.set()


async def test_a_grant_without_waiting_that_ends_lets_the_next_one_read_again(nursery):
    machine, done, granted = Machine(free_bytes=100), trio.Event(), []
    budget = pressed(machine, limit_bytes=1_000)

    with budget.reserve_nowait(80):
        nursery.start_soon(hold, budget, 50, done, granted)
        await wait_all_tasks_blocked()
        waiting = budget.statistics().waiting
    await wait_all_tasks_blocked()

    assert (waiting, granted) == (1, [50])
    done.set()


async def test_what_is_above_the_limit_is_refused_though_it_is_free():
    budget = pressed(Machine(free_bytes=1_000))

    with pytest.raises(DoesNotFitError, match="the device budget allows 100 B"):
        async with budget.reserve(101):
            pass


async def test_what_is_free_now_is_refused_without_waiting_where_the_limit_is_used_up():
    budget = pressed(Machine(free_bytes=1_000))

    async with budget.reserve(80):
        with pytest.raises(DoesNotFitError, match="the device budget has left 20 B"), budget.reserve_nowait(21):
            pass


async def test_cancelling_who_waits_for_free_memory_gives_back_what_it_held_upstream():
    upstream = LimitedBudget(100, name="device", flag="--memory-budget")
    budget = PressureBudget(upstream, Machine(free_bytes=0).read)

    with trio.CancelScope() as scope:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(hold, budget, 50, trio.Event(), [])
            await wait_all_tasks_blocked()
            held_bytes = upstream.statistics().granted_bytes
            scope.cancel()

    assert held_bytes == 50
    assert upstream.statistics() == BudgetStatistics(limit_bytes=100, granted_bytes=0, waiting=0)
    assert budget.statistics() == BudgetStatistics(limit_bytes=100, granted_bytes=0, waiting=0)


@settings(max_examples=60)
@given(
    sizes=st.lists(st.integers(0, 60), min_size=1, max_size=8),
    outside=st.lists(st.integers(0, 100), max_size=10),
    taken=st.booleans(),
)
def test_what_is_granted_is_always_really_free_and_everybody_is_served_when_the_pressure_ends(sizes, outside, taken):
    machine = Machine()
    served = []

    async def visit(budget, size_bytes):
        async with AsyncExitStack() as stack:
            grant = await stack.enter_async_context(budget.reserve(size_bytes))
            assert budget.statistics().granted_bytes <= 100
            assert size_bytes <= machine.free_bytes
            if taken:
                machine.free_bytes -= size_bytes
                stack.callback(lambda: setattr(machine, "free_bytes", machine.free_bytes + size_bytes))
                grant.mark_taken()
            await trio.sleep(1)
            served.append(size_bytes)

    async def press(budget):
        for used_bytes in [*outside, 0]:
            machine.free_bytes -= used_bytes
            await trio.sleep(0.7)
            machine.free_bytes += used_bytes
            budget.recheck()

    async def main():
        budget = pressed(machine)
        with trio.fail_after(1_000):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(press, budget)
                for size_bytes in sizes:
                    nursery.start_soon(visit, budget, size_bytes)
        assert budget.statistics() == BudgetStatistics(limit_bytes=100, granted_bytes=0, waiting=0)

    trio.run(main, clock=MockClock(autojump_threshold=0))

    assert sorted(served) == sorted(sizes)
