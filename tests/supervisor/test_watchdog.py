"""When a bench process that says nothing is killed."""

from __future__ import annotations

import pytest
import trio
import trio.testing

from asyncbench.clock import NS_PER_S
from asyncbench.errors import BenchProcessDiedError
from asyncbench.supervisor.bench_client import ask_with_watchdog
from asyncbench.sweep.cell import Cell, Precision
from asyncbench.wire.messages import CellEnded, CellProgress, Refused, RunCell

CELL = Cell(model="any", precision=Precision.FP32, batch=1, concurrency=1)
ANSWER = Refused(error="BadInputError", message="", remedy="")
PROGRESS = CellProgress(index=0, phase="measuring", n=1, elapsed_ns=1, lanes=1)


class Bench:
    """A bench process that says something after so many seconds, again and again, before it answers."""

    def __init__(self, *said_after_s, error=None):
        self.said_after_s = said_after_s
        self.error = error
        self.killed = False

    async def ask(self, _request, _expected, *, on_progress):
        for seconds in self.said_after_s:
            await trio.sleep(seconds)
            on_progress(PROGRESS)
        if self.error:
            raise self.error
        return ANSWER

    def kill(self):
        self.killed = True


async def ask(bench, limit_s=60):
    request = RunCell(index=0, cell=CELL)
    limit_ns = limit_s * NS_PER_S
    return await ask_with_watchdog(bench, request, CellEnded, limit_ns=limit_ns, on_progress=lambda _: None)


async def test_a_process_that_says_something_now_and_then_may_take_as_long_as_it_likes(autojump_clock):
    bench = Bench(*[50] * 20)

    assert await ask(bench) == ANSWER
    assert not bench.killed


async def test_a_process_that_is_silent_for_too_long_is_killed(autojump_clock):
    bench = Bench(1, 1_000)

    with pytest.raises(BenchProcessDiedError, match="silent for 60 s and was killed"):
        await ask(bench)

    assert bench.killed
    assert 60 <= trio.current_time() <= 70


async def test_a_supervisor_that_was_stopped_together_with_it_does_not_hold_that_against_it(mock_clock):
    bench, answers = Bench(250, 1), []

    async def keep_answer():
        answers.append(await ask(bench))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(keep_answer)
        await trio.testing.wait_all_tasks_blocked()
        mock_clock.jump(249)  # both stand still for longer than the limit
        await trio.testing.wait_all_tasks_blocked()
        mock_clock.jump(1)
        await trio.testing.wait_all_tasks_blocked()
        mock_clock.jump(1)

    assert answers == [ANSWER]
    assert not bench.killed


async def test_an_error_of_the_process_comes_as_it_is(autojump_clock):
    died = BenchProcessDiedError("gone")

    with pytest.raises(BenchProcessDiedError) as raised:
        await ask(Bench(1, error=died))

    assert raised.value is died
