from __future__ import annotations

import gc
import re
import subprocess
import sys
import threading
import time
import weakref
from contextlib import asynccontextmanager

import pytest
import structlog
import trio

from asyncbench.backends.lane_body import EmptyBody
from asyncbench.backends.lane_thread import ThreadLane, running
from asyncbench.clock import NS_PER_MS, now_ns
from asyncbench.errors import LaneError


class Gate:
    """An inference that ends when it is told to."""

    def __init__(self):
        self.entered = threading.Event()
        self.opened = threading.Event()
        self.runs = 0

    def run(self):
        self.entered.set()
        self.opened.wait()
        self.runs += 1


class WakeUps(trio.abc.Instrument):
    """Counts how often a task was woken."""

    def __init__(self, task):
        self.task = task
        self.count = 0

    def task_scheduled(self, task):
        self.count += task is self.task


@asynccontextmanager
async def lane_over(run):
    lane = ThreadLane(index=0, body=EmptyBody(run))
    async with running([lane]):
        yield lane


async def test_leaving_while_cancelled_waits_for_the_inference_in_flight():
    gate = Gate()

    async with trio.open_nursery() as nursery:
        with trio.CancelScope() as scope:
            async with lane_over(gate.run) as lane:
                lane.give_credits(3)
                await trio.to_thread.run_sync(gate.entered.wait)
                nursery.start_soon(trio.to_thread.run_sync, gate.opened.set)
                scope.cancel()
                await trio.sleep_forever()

    assert gate.runs == 1


async def test_an_abandoned_lane_is_left_at_once_and_said_so_and_its_waiter_gets_the_reason():
    gate = Gate()

    with structlog.testing.capture_logs() as events:
        async with lane_over(gate.run) as lane:
            lane.give_credits(1)
            lane.abandon("it hangs")
            with pytest.raises(LaneError, match="lane 0 was abandoned: it hangs"):
                await lane.wait_completions()

    assert [(event["event"], event["reason"]) for event in events] == [("lane_abandoned", "it hangs")]
    assert lane.abandoned
    gate.opened.set()


async def test_a_task_that_is_behind_is_woken_once_and_not_per_inference():
    task = trio.lowlevel.current_task()
    gate = Gate()

    async with lane_over(gate.run) as lane:
        lane.give_credits(1000)
        await trio.to_thread.run_sync(gate.entered.wait)
        wake_ups = WakeUps(task)
        trio.lowlevel.add_instrument(wake_ups)
        gate.opened.set()
        while gate.runs < 1000:  # the Trio thread is busy elsewhere: it only looks, and gives the lock away
            gate.entered.wait(0.001)
        taken = await lane.wait_completions()
        trio.lowlevel.remove_instrument(wake_ups)
        await lane.wait_idle()
        left = lane.completions_nowait()

    assert len(taken) + len(left) == 1000
    assert len(taken) >= 999
    assert wake_ups.count == 1


async def test_a_waiting_task_is_not_woken_between_slow_inferences_while_somebody_looks_at_the_lane():
    started, ended = threading.Semaphore(0), threading.Semaphore(0)

    def run():
        started.release()
        ended.acquire()
        time.sleep(0.01)  # ten of them take about as long as a lane keeps quiet where nobody looks

    late_looks = 0
    async with lane_over(run) as lane, trio.open_nursery() as nursery:
        lane.give_credits(1000)
        nursery.start_soon(lane.wait_completions)
        await trio.testing.wait_all_tasks_blocked()
        (waiter,) = nursery.child_tasks
        wake_ups = WakeUps(waiter)
        trio.lowlevel.add_instrument(wake_ups)
        started.acquire()
        for _ in range(10):
            looked_at_ns = now_ns()
            lane.completions_nowait()
            ended.release()
            started.acquire()
            late_looks += now_ns() - looked_at_ns > 90 * NS_PER_MS  # this machine was slow, and the lane right to wake
            await trio.testing.wait_all_tasks_blocked()
        woken = wake_ups.count
        trio.lowlevel.remove_instrument(wake_ups)
        lane.take_credits_back()
        ended.release()

    assert woken <= late_looks


async def test_a_task_that_waits_for_many_gets_what_there_is_when_the_credits_are_taken_back():
    first, second = Gate(), Gate()
    gates = iter([first, second])
    ended = []

    async with lane_over(lambda: next(gates).run()) as lane:

        async def wait():
            ended.append(len(await lane.wait_completions()))

        async with trio.open_nursery() as nursery:
            lane.give_credits(1000)
            nursery.start_soon(wait)
            await trio.testing.wait_all_tasks_blocked()
            first.opened.set()
            await trio.to_thread.run_sync(second.entered.wait)
            lane.take_credits_back()
        second.opened.set()

    assert ended == [1]


async def test_the_error_of_a_run_is_one_line_and_keeps_its_cause():
    def fail():
        raise RuntimeError("out of\n  luck")

    async with lane_over(fail) as lane:
        with pytest.raises(LaneError, match="lane 0: out of luck") as failure:
            await lane.infer()

    assert isinstance(failure.value.__cause__, RuntimeError)
    assert failure.value.facts == {"lane": 0, "error": "out of luck"}


async def test_what_a_run_owns_is_freed_when_the_lanes_are_left():
    gate = Gate()
    gate.opened.set()
    seen = weakref.ref(gate)

    async with lane_over(gate.run) as lane:
        await lane.infer()
    del gate
    gc.collect()

    assert seen() is None
    assert lane.take_credits_back() == 0


async def test_credits_that_are_taken_back_while_the_lane_uses_them_up_are_all_accounted_for():
    runs = 0

    def run():
        nonlocal runs
        runs += 1

    given = ended = taken_back = 0
    async with lane_over(run) as lane:
        for _ in range(300):
            lane.give_credits(1000)
            lane.give_credits(24)
            given += 1024
            ended += len(await lane.wait_completions())
            taken_back += lane.take_credits_back()
            await lane.wait_idle()
            ended += len(lane.completions_nowait())

    assert runs == ended > 0
    assert ended + taken_back == given


# Room for three stacks, and eight lanes that need one each. In a process of its own: what is mapped stays mapped.
FEW_THREADS = """
import os, resource, threading
import trio
from asyncbench.backends.lane_body import EmptyBody
from asyncbench.backends.lane_thread import ThreadLane, running
from asyncbench.errors import LimitError

STACK_BYTES = 256 << 20

async def main():
    threading.stack_size(STACK_BYTES)
    used_bytes = int(open("/proc/self/statm").read().split()[0]) * os.sysconf("SC_PAGE_SIZE")
    # A new thread also has a heap of its own, of 64 MiB at most and reserved if there is room: half a stack more.
    resource.setrlimit(resource.RLIMIT_AS, (used_bytes + 3 * STACK_BYTES + STACK_BYTES // 2,) * 2)
    resource.setrlimit(resource.RLIMIT_STACK, (STACK_BYTES, -1))
    try:
        async with running([ThreadLane(index=index, body=EmptyBody()) for index in range(8)]):
            print("all run")
    except LimitError as error:
        print(error.message, error.facts)
    async with running([ThreadLane(index=0, body=EmptyBody())]):
        print("one runs", threading.active_count() - 1)

trio.run(main)
"""


@pytest.mark.slow
def test_a_thread_that_is_refused_ends_the_others_and_names_the_limit():
    done = subprocess.run([sys.executable, "-c", FEW_THREADS], capture_output=True, text=True, check=True, timeout=60)

    refused, after = done.stdout.splitlines()
    assert re.match(r"8 lanes need 8 threads, number [1-8] was refused: ulimit -v is \d+ \(KiB\) ", refused)
    assert after.startswith("one runs")
