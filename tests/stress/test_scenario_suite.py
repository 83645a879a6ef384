"""Ends of scenarios that hold, break, cannot run or fail."""

import trio

from asyncbench.errors import AsyncbenchError, BackendUnavailableError
from asyncbench.stress.context import StressSettings
from asyncbench.stress.suite import RUNS, run_suite


async def hold(context):
    await trio.lowlevel.checkpoint()
    context.check("it holds", "first", held=True)
    context.check("it holds", "second", held=True)
    context.conclude("it holds", "2 times")


async def break_once(context):
    await trio.lowlevel.checkpoint()
    context.check("it holds", "first", held=False)
    context.check("it holds", "second", held=True)
    context.conclude("it holds", "2 times")


async def come_to_nothing(context):
    await trio.lowlevel.checkpoint()
    context.conclude("it holds", "0 times")


async def be_elsewhere(context):
    await trio.lowlevel.checkpoint()
    raise BackendUnavailableError("no such thing here")


async def fail(context):
    await trio.lowlevel.checkpoint()
    raise AsyncbenchError("it went wrong")


async def run(**scenarios):
    found, ends = [], []
    held = await run_suite(scenarios, StressSettings(seed=7), report=found.append, ended=ends.append)
    return held, found, ends


async def test_a_promise_that_holds_at_every_step_is_kept():
    held, found, (end,) = await run(one=hold)

    assert held
    assert end.held
    assert [(each.step, each.held, each.seed) for each in found] == [
        ("first", True, 7),
        ("second", True, 7),
        (None, True, 7),
    ]
    assert [each.figure for each in end.verdicts] == ["2 times"]


async def test_one_broken_step_breaks_the_promise_and_the_run_and_the_next_scenario_runs():
    held, _, ends = await run(one=break_once, two=hold)

    assert not held
    assert [(end.name, end.held) for end in ends] == [("one", False), ("two", True)]
    assert [each.held for each in ends[0].verdicts] == [False]


async def test_a_promise_that_was_never_tried_is_neither_kept_nor_broken():
    held, (verdict,), _ = await run(one=come_to_nothing)

    assert held
    assert verdict.held is None


async def test_a_scenario_that_cannot_run_here_is_skipped_with_its_reason():
    held, (verdict,), (end,) = await run(one=be_elsewhere)

    assert held
    assert end.skipped == "no such thing here"
    assert (verdict.promise, verdict.held, verdict.figure) == (RUNS, None, "no such thing here")


async def test_a_scenario_that_fails_is_broken_and_the_next_one_runs():
    held, _, ends = await run(one=fail, two=hold)

    assert not held
    assert [end.held for end in ends] == [False, True]


async def test_a_scenario_draws_the_same_numbers_with_the_same_seed():
    thrown = []

    async def throw(context):
        await trio.lowlevel.checkpoint()
        thrown.append([context.random(worker).random() for worker in (0, 1)])

    await run(one=throw)
    await run(one=throw)
    await run(two=throw)

    first, again, other = thrown
    assert first == again
    assert first[0] != first[1]
    assert other != first
