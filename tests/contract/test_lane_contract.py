"""What every backend promises of a lane: credits in, stamps out, nothing lost."""

from __future__ import annotations

import random

import numpy as np
import pytest
import trio

from asyncbench.bench.load.worker import COALESCE_S
from asyncbench.errors import LaneError


def assert_close(outputs, wanted):
    assert outputs.keys() == wanted.keys() != set()
    for name, array in outputs.items():
        np.testing.assert_allclose(array, wanted[name], rtol=1e-3, atol=1e-4)


@pytest.fixture
async def lane(engine, subject):
    async with engine.open_lanes(batch=1, count=1, inputs=subject.inputs(1, 0)) as lanes:
        yield lanes[0]


async def take(lane, count):
    """Return the stamps of `count` inferences, in the order in which the lane gave them."""
    issued, completed = [], []
    while len(completed) < count:
        taken = await lane.wait_completions()
        issued += taken.issued_at_ns.tolist()
        completed += taken.completed_at_ns.tolist()
    return np.array(issued), np.array(completed)


@pytest.mark.parametrize("count", [1, 2, 7, 300])
async def test_so_many_inferences_run_as_credits_were_given(lane, count):
    lane.give_credits(count)

    issued, _ = await take(lane, count)
    await lane.wait_idle()

    assert len(issued) == count
    assert len(lane.completions_nowait()) == 0


async def test_credits_are_given_again_for_longer_than_the_ring_is(lane):
    rounds = 3

    for _ in range(rounds):
        lane.give_credits(lane.max_credits)
        issued, completed = await take(lane, lane.max_credits)

        assert len(issued) == lane.max_credits
        assert (np.diff(completed) >= 0).all()


@pytest.mark.parametrize("count", [1, 4])
async def test_lanes_hold_what_lasts_until_trio_looks_again_however_fast_the_network_is(engine, subject, count):
    service_s = 100e-6 if subject.backend.name == "simulated" else 4e-6  # the former is known when lanes are opened
    async with engine.open_lanes(batch=1, count=count, inputs=subject.inputs(1, 0)) as lanes:
        held = sum(lane.max_credits for lane in lanes)

    assert held * service_s >= 3 * COALESCE_S


async def test_an_inference_starts_when_the_last_one_has_completed_and_not_before(lane, engine):
    before = engine.now_ns()
    lane.give_credits(50)

    issued, completed = await take(lane, 50)

    assert before <= issued[0]
    assert (issued <= completed).all()
    assert (issued[1:] >= completed[:-1]).all()
    assert completed[-1] <= engine.now_ns()


async def test_an_awaited_inference_lies_between_the_call_and_the_return(lane, engine):
    before = engine.now_ns()
    stamps = await lane.infer()
    after = engine.now_ns()

    assert before <= stamps.issued_at_ns <= stamps.completed_at_ns <= after
    assert stamps.service_ns == stamps.completed_at_ns - stamps.issued_at_ns


async def test_awaited_inferences_leave_nothing_to_take(lane):
    for _ in range(20):
        await lane.infer()

    assert len(lane.completions_nowait()) == 0


async def test_an_awaited_inference_is_refused_while_the_lane_has_credits(lane):
    lane.give_credits(3)

    with pytest.raises(ValueError, match="has credits"):
        await lane.infer()

    assert len((await take(lane, 3))[0]) == 3


async def test_more_credits_than_the_lane_can_hold_are_refused_and_none_is_granted(lane):
    with pytest.raises(ValueError, match="credits outstanding"):
        lane.give_credits(lane.max_credits + 1)

    await lane.wait_idle()
    assert lane.take_credits_back() == 0
    assert len(lane.completions_nowait()) == 0


async def test_completions_that_were_not_taken_count_as_outstanding(lane):
    lane.give_credits(lane.max_credits)
    await lane.wait_idle()

    with pytest.raises(ValueError, match="credits outstanding"):
        lane.give_credits(1)

    assert len(lane.completions_nowait()) == lane.max_credits
    lane.give_credits(1)


@pytest.mark.parametrize("count", [1, 2, 5, 1000])
async def test_credits_that_were_taken_back_and_inferences_that_ran_are_all_that_was_given(lane, count):
    lane.give_credits(count)
    first = len(await lane.wait_completions())

    taken_back = lane.take_credits_back()
    await lane.wait_idle()

    assert first + len(lane.completions_nowait()) + taken_back == count


async def test_nothing_starts_after_the_credits_were_taken_back(lane):
    lane.give_credits(500)
    lane.take_credits_back()
    await lane.wait_idle()
    lane.completions_nowait()

    await trio.testing.wait_all_tasks_blocked()

    assert len(lane.completions_nowait()) == 0
    assert lane.take_credits_back() == 0


@pytest.mark.parametrize("seed", range(5))
async def test_whatever_is_done_to_a_lane_every_credit_is_accounted_for(lane, seed):
    choose = random.Random(seed)  # noqa: S311 - a repeatable walk, no secret
    given = ended = taken_back = 0

    for _ in range(200):
        action = choose.choice(["give", "back", "nowait", "wait", "cancelled wait"])
        outstanding = given - ended - taken_back
        if action == "give":
            count = choose.randint(0, min(20, lane.max_credits - outstanding))
            lane.give_credits(count)
            given += count
        elif action == "back":
            taken_back += lane.take_credits_back()
        elif action == "nowait":
            ended += len(lane.completions_nowait())
        elif action == "wait" and outstanding:
            ended += len(await lane.wait_completions())
        elif action == "cancelled wait":
            with trio.CancelScope() as scope:
                scope.cancel()
                ended += len(await lane.wait_completions())
    taken_back += lane.take_credits_back()
    await lane.wait_idle()

    assert ended + len(lane.completions_nowait()) + taken_back == given


async def test_a_wait_that_is_cancelled_again_and_again_loses_no_completion(lane):
    lane.give_credits(400)
    ended = 0

    while ended < 400:
        with trio.move_on_after(50e-6):
            ended += len(await lane.wait_completions())
    await lane.wait_idle()

    assert ended == 400
    assert len(lane.completions_nowait()) == 0


async def test_a_wait_with_nothing_to_wait_for_is_a_checkpoint_and_can_be_cancelled(lane):
    lane.give_credits(1)
    await lane.wait_idle()

    with trio.testing.assert_checkpoints():
        await lane.wait_completions()
    with trio.move_on_after(0.01) as scope:
        await lane.wait_completions()

    assert scope.cancelled_caught


async def test_an_awaited_inference_that_is_cancelled_goes_on_and_can_be_taken_later(lane):
    with trio.CancelScope() as scope:
        scope.cancel()
        await lane.infer()

    await lane.wait_idle()

    assert scope.cancelled_caught
    assert len(lane.completions_nowait()) == 1
    assert (await lane.infer()).service_ns >= 0


async def test_an_idle_lane_says_so_even_after_the_deadline_of_its_caller(lane):
    with trio.CancelScope() as scope:
        scope.cancel()
        await lane.wait_idle()

    assert not scope.cancelled_caught


async def test_idleness_can_be_waited_for_inside_a_shield_of_a_cancelled_scope(lane):
    lane.give_credits(20)
    ended = -1

    with trio.CancelScope() as outer:
        outer.cancel()
        with trio.CancelScope(shield=True):
            await lane.wait_idle()
            ended = len(lane.completions_nowait())

    assert ended == 20


async def test_a_task_that_waits_wakes_up_when_another_one_gives_credits(lane):
    ended = []

    async def wait():
        ended.append(len(await lane.wait_completions()))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(wait)
        await trio.testing.wait_all_tasks_blocked()
        lane.give_credits(1)

    assert ended == [1]


async def test_outputs_are_copies_and_are_refused_while_the_lane_runs(lane):
    await lane.infer()
    first = lane.read_outputs()
    for array in first.values():
        array.fill(-1)
    second = lane.read_outputs()

    assert list(first) == list(second) != []
    assert not any(np.array_equal(first[name], second[name]) for name in second)
    lane.give_credits(lane.max_credits)
    with pytest.raises(ValueError, match="is running"):
        lane.read_outputs()


@pytest.fixture
async def failing_lane(failing_subject):
    inputs = failing_subject.inputs(1, 0)
    async with (
        failing_subject.backend.open_engine(failing_subject.request()) as engine,
        engine.open_lanes(batch=1, count=1, inputs=inputs) as lanes,
    ):
        yield lanes[0]


async def test_a_failed_inference_is_an_error_of_every_later_call_and_the_lane_is_idle(failing_lane):
    with pytest.raises(LaneError, match="lane 0"):
        await failing_lane.infer()

    await failing_lane.wait_idle()
    with pytest.raises(LaneError):
        failing_lane.completions_nowait()
    with pytest.raises(LaneError):
        await failing_lane.wait_completions()
    with pytest.raises(LaneError):
        await failing_lane.infer()


async def test_a_failed_inference_starts_no_other_one(failing_lane):
    failing_lane.give_credits(10)

    with pytest.raises(LaneError):
        await failing_lane.wait_completions()

    # The nine others never start: they come back, or the failure has taken them already.
    assert failing_lane.take_credits_back() in (0, 9)
    await failing_lane.wait_idle()


async def test_new_inputs_make_new_outputs_and_are_copied(lane, subject):
    await lane.infer()
    other = {name: array.copy() for name, array in subject.inputs(1, 1).items()}
    expected = subject.reference(other)

    lane.write_inputs(other)
    for array in other.values():
        array.fill(0)
    await lane.infer()

    outputs = lane.read_outputs()
    assert_close(outputs, expected)


async def test_inputs_are_not_replaced_while_the_lane_runs(lane, subject):
    lane.give_credits(lane.max_credits)

    with pytest.raises(ValueError, match="is running"):
        lane.write_inputs(subject.inputs(1, 1))


async def test_a_lane_whose_memory_was_freed_takes_no_credits_until_it_has_it_again(lane, subject):
    await lane.infer()
    await lane.free_memory()

    with pytest.raises(ValueError, match="no memory"):
        lane.give_credits(1)
    with pytest.raises(ValueError, match="no memory"):
        await lane.infer()
    await lane.wait_idle()
    assert len(lane.completions_nowait()) == 0
    await lane.take_memory()

    assert (await lane.infer()).service_ns >= 0
    assert_close(lane.read_outputs(), subject.reference(subject.inputs(1, 0)))


async def test_the_memory_of_a_lane_is_not_freed_while_it_has_credits_or_completions(lane):
    lane.give_credits(2)
    with pytest.raises(ValueError, match="credits, or completions"):
        await lane.free_memory()
    await lane.wait_idle()

    with pytest.raises(ValueError, match="credits, or completions"):
        await lane.free_memory()

    assert len(lane.completions_nowait()) == 2
    await lane.free_memory()


async def test_leaving_a_lane_without_memory_is_like_leaving_any_other(engine, subject):
    for _ in range(2):
        async with engine.open_lanes(batch=1, count=2, inputs=subject.inputs(1, 0)) as lanes:
            await lanes[1].infer()
            await lanes[1].free_memory()
            await lanes[0].infer()
