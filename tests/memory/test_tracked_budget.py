from __future__ import annotations

from asyncbench.memory.limited_budget import LimitedBudget
from asyncbench.memory.tracked_budget import TrackedBudget


def tracked(limit_bytes=100):
    return TrackedBudget(LimitedBudget(limit_bytes, name="device", flag="--memory-budget"))


def test_nothing_held_has_no_peak():
    assert tracked().peak_bytes == 0


async def test_the_peak_is_what_was_held_at_once():
    budget = tracked()

    async with budget.reserve(30):
        with budget.reserve_nowait(40):
            pass
        with budget.reserve_nowait(20):
            pass

    assert budget.peak_bytes == 70
    assert budget.statistics().granted_bytes == 0


async def test_what_was_given_back_early_does_not_count_for_later_peaks():
    budget = tracked()

    async with budget.reserve(60) as grant:
        grant.shrink(10)
        async with budget.reserve(40):
            pass

    assert budget.peak_bytes == 60


async def test_what_others_hold_of_the_same_memory_does_not_count():
    upstream = LimitedBudget(100, name="device", flag="--memory-budget")
    budget = TrackedBudget(upstream)

    async with upstream.reserve(50), budget.reserve(20):
        pass

    assert budget.peak_bytes == 20
