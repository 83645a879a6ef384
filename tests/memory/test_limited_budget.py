from __future__ import annotations

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from asyncbench.errors import DoesNotFitError
from asyncbench.memory.budget import BudgetStatistics
from asyncbench.memory.limited_budget import LimitedBudget

MIB = 2**20


def device_budget(limit_bytes=100):
    return LimitedBudget(limit_bytes, name="device", flag="--memory-budget")


async def hold(budget, size_bytes, until):
    async with budget.reserve(size_bytes):
        await until.wait()


async def test_what_can_never_fit_is_refused_at_once_and_named():
    budget = device_budget(limit_bytes=256 * MIB)

    with budget.reserve_nowait(256 * MIB), pytest.raises(DoesNotFitError) as caught:
        async with budget.reserve(257 * MIB):
            pass

    assert str(caught.value) == (
        "257 MiB are needed, the device budget allows 256 MiB: lower --batch or --concurrency, or raise --memory-budget"
    )
    assert caught.value.facts == {"requested_bytes": 257 * MIB, "available_bytes": 256 * MIB}


async def test_exactly_the_limit_fits():
    budget = device_budget()

    async with budget.reserve(100) as grant:
        assert grant.size_bytes == 100
        assert budget.statistics() == BudgetStatistics(limit_bytes=100, granted_bytes=100, waiting=0)


async def test_a_budget_without_a_limit_counts_and_never_refuses():
    budget = device_budget(limit_bytes=None)

    async with budget.reserve(2**60):
        with budget.reserve_nowait(2**61):
            assert budget.statistics() == BudgetStatistics(limit_bytes=None, granted_bytes=2**60 + 2**61, waiting=0)


def test_a_negative_size_is_a_mistake():
    with pytest.raises(ValueError, match="-1 B cannot be reserved"):
        device_budget().require_possible(-1)


async def test_statistics_count_who_waits(nursery):
    budget, done = device_budget(), trio.Event()
    for _ in range(3):
        nursery.start_soon(hold, budget, 60, done)

    await wait_all_tasks_blocked()

    assert budget.statistics() == BudgetStatistics(limit_bytes=100, granted_bytes=60, waiting=2)
    done.set()


async def test_without_waiting_what_is_left_is_granted_and_no_more():
    budget = device_budget()

    with budget.reserve_nowait(60), pytest.raises(DoesNotFitError) as caught, budget.reserve_nowait(41):
        pass

    assert caught.value.facts == {"requested_bytes": 41, "available_bytes": 40}
    assert budget.statistics().granted_bytes == 0


async def test_without_waiting_nobody_jumps_the_queue(nursery):
    budget, done = device_budget(), trio.Event()
    nursery.start_soon(hold, budget, 60, done)
    await wait_all_tasks_blocked()
    nursery.start_soon(hold, budget, 60, done)
    await wait_all_tasks_blocked()

    with pytest.raises(DoesNotFitError) as caught, budget.reserve_nowait(40):
        pass

    assert caught.value.facts["available_bytes"] == 0
    done.set()


async def test_what_a_grant_gives_back_early_goes_to_the_next(nursery):
    budget, done = device_budget(), trio.Event()

    async with budget.reserve(100) as grant:
        nursery.start_soon(hold, budget, 30, done)
        await wait_all_tasks_blocked()
        grant.shrink(70)
        now = budget.statistics()

    assert now == BudgetStatistics(limit_bytes=100, granted_bytes=100, waiting=0)
    assert budget.statistics().granted_bytes == 30
    done.set()


@pytest.mark.parametrize("to_bytes", [11, -1])
async def test_a_grant_neither_grows_nor_becomes_negative(to_bytes):
    budget = device_budget()

    async with budget.reserve(10) as grant:
        with pytest.raises(ValueError, match=f"a grant of 10 B cannot shrink to {to_bytes} B"):
            grant.shrink(to_bytes)
        unchanged_bytes = budget.statistics().granted_bytes

    assert unchanged_bytes == 10


async def test_a_grant_is_worth_nothing_after_its_reservation():
    budget = device_budget()
    async with budget.reserve(10) as grant:
        pass

    with pytest.raises(ValueError, match="a grant of 0 B cannot shrink to 5 B"):
        grant.shrink(5)
    assert budget.statistics().granted_bytes == 0
