"""The queue for lanes: first come, first served, and no lane whose gate is closed."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import trio
from trio.testing import wait_all_tasks_blocked

from asyncbench.bench.load.lane_gate import LaneGate
from asyncbench.bench.load.lane_queue import LaneQueue


@dataclass(frozen=True)
class NumberedLane:
    """All that the queue needs of a lane."""

    index: int


def queue_of(count):
    lanes, gates = [NumberedLane(index) for index in range(count)], [LaneGate() for _ in range(count)]
    return LaneQueue(lanes, gates), lanes, gates


@pytest.fixture
async def taken(nursery):
    """Start tasks that take a lane, one after the other; what they got, in the order in which they got it."""
    got = []

    async def take(queue, name):
        got.append((name, (await queue.take()).index))

    async def start(queue, *names):
        for name in names:
            nursery.start_soon(take, queue, name)
            await wait_all_tasks_blocked()
        return got

    return start


async def test_free_lanes_are_handed_out_once_each(taken):
    queue, _, _ = queue_of(2)

    got = await taken(queue, "a", "b", "c")

    assert got == [("a", 0), ("b", 1)]


async def test_a_lane_that_comes_back_goes_to_who_has_waited_longest(taken):
    queue, lanes, _ = queue_of(1)
    got = await taken(queue, "a", "b", "c", "d")

    for _ in range(3):
        queue.give_back(lanes[0])
        await wait_all_tasks_blocked()

    assert [name for name, _ in got] == ["a", "b", "c", "d"]


async def test_who_gives_a_lane_back_and_wants_one_again_is_behind_those_who_wait(taken):
    queue, lanes, _ = queue_of(1)
    got = await taken(queue, "a", "b")

    queue.give_back(lanes[0])
    await taken(queue, "a again")

    assert [name for name, _ in got] == ["a", "b"]


async def test_a_cancelled_wait_takes_no_lane_along(taken):
    queue, lanes, _ = queue_of(1)
    got = await taken(queue, "a")
    with trio.CancelScope() as scope:
        scope.cancel()
        await queue.take()

    await taken(queue, "b")
    queue.give_back(lanes[0])
    await wait_all_tasks_blocked()

    assert [name for name, _ in got] == ["a", "b"]


async def test_a_free_lane_is_withheld_at_once(taken):
    queue, _, gates = queue_of(2)

    gates[0].close()
    queue.park_idle()
    await gates[0].wait_idle()

    assert await taken(queue, "a", "b") == [("a", 1)]


async def test_a_lane_in_use_is_withheld_when_it_comes_back(taken):
    queue, lanes, gates = queue_of(1)
    got = await taken(queue, "a", "b")

    gates[0].close()
    queue.park_idle()
    with trio.move_on_after(0) as too_early:
        await gates[0].wait_idle()
    queue.give_back(lanes[0])
    await gates[0].wait_idle()
    await wait_all_tasks_blocked()

    assert too_early.cancelled_caught
    assert got == [("a", 0)]


async def test_a_lane_on_its_way_to_a_worker_is_withheld_before_it_gets_there(taken):
    queue, lanes, gates = queue_of(1)
    got = await taken(queue, "a", "b")

    queue.give_back(lanes[0])  # b is chosen, and has not run yet
    gates[0].close()
    queue.park_idle()
    await gates[0].wait_idle()
    await wait_all_tasks_blocked()

    assert got == [("a", 0)]


async def test_a_lane_that_is_let_go_goes_to_who_has_waited_longest(taken):
    queue, lanes, gates = queue_of(1)
    gates[0].close()
    queue.park_idle()
    got = await taken(queue, "a", "b")

    gates[0].open()
    queue.unpark(lanes[0].index)
    await wait_all_tasks_blocked()

    assert got == [("a", 0)]


async def test_a_lane_that_was_never_parked_is_not_handed_out_twice(taken):
    queue, lanes, _ = queue_of(1)

    queue.unpark(lanes[0].index)
    queue.unpark_all()

    assert await taken(queue, "a", "b") == [("a", 0)]


async def test_a_lane_withheld_from_the_beginning_is_handed_out_once_its_gate_is_open(taken):
    lanes, gates = [NumberedLane(0), NumberedLane(1)], [LaneGate(), LaneGate()]
    gates[1].close()
    queue = LaneQueue(lanes, gates)
    got = await taken(queue, "a", "b")
    await gates[1].wait_idle()

    gates[1].open()
    queue.unpark_all()
    await wait_all_tasks_blocked()

    assert got == [("a", 0), ("b", 1)]
