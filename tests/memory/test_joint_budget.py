from __future__ import annotations

import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st
from trio.testing import MockClock, wait_all_tasks_blocked

from asyncbench.errors import DoesNotFitError
from asyncbench.memory.forecast import MemoryForecast
from asyncbench.memory.joint_budget import JointBudget
from asyncbench.memory.limited_budget import LimitedBudget


def need(device_bytes, host_bytes):
    return MemoryForecast(device_bytes=device_bytes, host_bytes=host_bytes)


def device_of(limit_bytes):
    return LimitedBudget(limit_bytes, name="device", flag="--memory-budget")


def host_of(limit_bytes):
    return LimitedBudget(limit_bytes, name="host", flag="--host-memory-budget")


def granted(*budgets):
    return tuple(budget.statistics().granted_bytes for budget in budgets)


async def test_both_memories_are_held_and_given_back():
    device, host = device_of(100), host_of(50)
    budget = JointBudget.separate(device=device, host=host)

    async with budget.reserve(need(70, 20)):
        held = granted(device, host)

    assert held == (70, 20)
    assert granted(device, host) == (0, 0)


async def test_one_pool_holds_the_sum():
    pool = device_of(100)

    async with JointBudget.pooled(pool).reserve(need(60, 40)):
        held = granted(pool)

    assert held == (100,)
    assert granted(pool) == (0,)


async def test_what_never_fits_one_memory_is_refused_before_the_other_is_waited_for():
    device, host = device_of(100), host_of(50)
    budget = JointBudget.separate(device=device, host=host)

    async with device.reserve(100):
        with pytest.raises(DoesNotFitError, match=r"the host budget allows 50 B: .* raise --host-memory-budget"):
            async with budget.reserve(need(10, 51)):
                pass


async def test_a_pool_refuses_a_sum_above_its_limit():
    with pytest.raises(DoesNotFitError) as caught:
        async with JointBudget.pooled(device_of(100)).reserve(need(60, 41)):
            pass

    assert caught.value.facts == {"requested_bytes": 101, "available_bytes": 100}


async def test_shrinking_gives_back_of_each_memory_what_it_has_too_much_and_never_grows():
    device, host = device_of(100), host_of(50)

    async with JointBudget.separate(device=device, host=host).reserve(need(70, 20)) as grant:
        grant.shrink(need(30, 25))
        held = granted(device, host)

    assert held == (30, 20)


async def test_cancelling_who_waits_for_the_host_gives_the_device_back(nursery):
    device, host = device_of(100), host_of(50)
    budget = JointBudget.separate(device=device, host=host)

    async with host.reserve(50):
        with trio.CancelScope() as scope:
            async with trio.open_nursery() as inner:
                inner.start_soon(hold, budget, need(70, 20))
                await wait_all_tasks_blocked()
                held = granted(device, host)
                scope.cancel()

    assert held == (70, 50)
    assert granted(device, host) == (0, 0)


@settings(max_examples=settings.default.max_examples * 3 // 5)
@given(
    needs=st.lists(st.tuples(st.integers(0, 100), st.integers(0, 50)), max_size=10),
    hosts_alone=st.lists(st.integers(0, 50), max_size=4),
)
def test_reservations_over_two_memories_never_wait_for_each_other(needs, hosts_alone):
    device, host = device_of(100), host_of(50)
    budget = JointBudget.separate(device=device, host=host)

    async def hold_host(size_bytes):
        async with host.reserve(size_bytes):
            await trio.sleep(1)

    async def main():
        with trio.fail_after(1_000):
            async with trio.open_nursery() as nursery:
                for device_bytes, host_bytes in needs:
                    nursery.start_soon(hold, budget, need(device_bytes, host_bytes))
                for size_bytes in hosts_alone:
                    nursery.start_soon(hold_host, size_bytes)

    trio.run(main, clock=MockClock(autojump_threshold=0))

    assert granted(device, host) == (0, 0)


async def hold(budget, what):
    async with budget.reserve(what):
        await trio.sleep(1)
