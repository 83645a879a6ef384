"""One file descriptor tells Trio, and only when it has asked."""

from __future__ import annotations

import random
import select
from functools import partial

import pytest
import trio

pytestmark = pytest.mark.native

A_MINUTE_NS = 60_000_000_000


def is_readable(fd: int) -> bool:
    return bool(select.select([fd], [], [], 0)[0])


async def test_armed_lane_wakes_a_trio_task(pump, add_lane, fake_cuda):
    stream = fake_cuda.held_stream()
    lane = add_lane(stream)
    pump.give_credits(lane, 1)
    pump.arm(lane)
    assert not is_readable(pump.fd)

    fake_cuda.release(stream)
    with trio.fail_after(60):
        await trio.lowlevel.wait_readable(pump.fd)

    assert pump.ready_lanes() == [lane]
    assert not is_readable(pump.fd)


def test_lane_that_is_not_armed_wakes_nobody(pump, add_lane, fake_cuda):
    lane = add_lane(fake_cuda.stream())

    pump.give_credits(lane, 16)

    assert pump.wait_idle(lane, A_MINUTE_NS)
    assert not is_readable(pump.fd)
    assert pump.ready_lanes() == []


def test_arming_a_lane_that_is_ready_already_wakes_at_once(pump, add_lane, fake_cuda):
    lane = add_lane(fake_cuda.stream())
    pump.give_credits(lane, 3)
    assert pump.wait_idle(lane, A_MINUTE_NS)

    pump.arm(lane, 3)

    assert is_readable(pump.fd)
    assert pump.ready_lanes() == [lane]
    assert pump.ready_lanes() == []


def test_lane_wakes_only_when_it_has_as_many_completions_as_were_asked_for(pump, add_lane, fake_cuda):
    stream = fake_cuda.held_stream()
    lane = add_lane(stream, depth=4)
    pump.give_credits(lane, 4)
    while pump.in_flight(lane) < 4:
        pass
    pump.arm(lane, 3)

    fake_cuda.release(stream, 2)
    while pump.in_flight(lane) > 2:
        pass
    readable_after_two = is_readable(pump.fd)
    fake_cuda.release(stream)
    select.select([pump.fd], [], [], 60)

    assert not readable_after_two
    assert pump.ready_lanes() == [lane]
    fake_cuda.release(stream)


def test_lane_with_fewer_completions_wakes_when_no_more_will_come(pump, add_lane, fake_cuda):
    stream = fake_cuda.held_stream()
    lane = add_lane(stream)
    pump.give_credits(lane, 10)
    pump.arm(lane, 10)
    while pump.in_flight(lane) == 0:
        pass

    pump.take_credits_back(lane)
    fake_cuda.release(stream)
    readable, _, _ = select.select([pump.fd], [], [], 60)

    assert readable
    assert pump.ready_lanes() == [lane]


def test_failing_lane_wakes_whoever_waits_for_it(pump, add_lane, fake_cuda):
    stream = fake_cuda.stream()
    lane = add_lane(stream)
    fake_cuda.fail("cuGraphLaunch", stream=stream)
    pump.arm(lane)

    pump.give_credits(lane, 1)
    readable, _, _ = select.select([pump.fd], [], [], 60)

    assert readable
    assert pump.ready_lanes() == [lane]


async def drive(pump, lane: int, woken: trio.MemoryReceiveChannel[None], rounds: int) -> None:
    await trio.lowlevel.checkpoint()
    for _ in range(rounds):
        pump.give_credits(lane, 1)
        pump.arm(lane)
        await woken.receive()
        assert len(pump.drain(lane)[0]) == 1


@pytest.mark.slow
async def test_no_wake_up_is_lost_between_many_lanes_and_late_readers(pump, add_lane, fake_cuda):
    rng = random.Random(3)  # noqa: S311  # a schedule, not a secret
    lanes = [add_lane(fake_cuda.stream(high_ns=30_000, seed=seed), max_credits=1) for seed in range(8)]
    channels = {lane: trio.open_memory_channel[None](1) for lane in lanes}

    async def dispatch() -> None:
        while True:
            await trio.lowlevel.wait_readable(pump.fd)
            for _ in range(rng.randrange(3)):
                await trio.lowlevel.checkpoint()
            for lane in pump.ready_lanes():
                channels[lane][0].send_nowait(None)

    with trio.fail_after(60):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(dispatch)
            async with trio.open_nursery() as drivers:
                for lane in lanes:
                    drivers.start_soon(partial(drive, pump, lane, channels[lane][1], 150))
            nursery.cancel_scope.cancel()
