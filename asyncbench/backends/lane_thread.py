"""Lanes for a runtime whose `run` blocks: each one is a thread that closes the loop while its credits last."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from itertools import repeat
from operator import length_hint
from queue import SimpleQueue
from types import TracebackType
from typing import TypeAlias

import trio

from asyncbench.backends.completion_ring import CompletionRing
from asyncbench.backends.draining import drained
from asyncbench.backends.lane_body import EmptyBody, RunnableBody
from asyncbench.backends.lane_guard import LaneGuard
from asyncbench.clock import NS_PER_MS, now_ns
from asyncbench.errors import AsyncbenchError, DoesNotFitError, LaneError, LimitError, text_line
from asyncbench.event_log import get_logger
from asyncbench.measurement.stamps import Completions, InferenceStamps
from asyncbench.memory.host.process_limits import thread_limit_text
from asyncbench.tensors import AnyArray

MIN_CREDITS = 1024
"""The fewest credits of a lane, however many lanes there are; see `credits_per_lane`."""
_NEWS_AFTER_NS = 100 * NS_PER_MS
"""A waiting task is woken this late after somebody has looked, where credits are plenty. Waking it stands between two
inferences, and lets go of the interpreter lock: with more lanes than processors a lane then queues for both, while its
stamps say that it idles. Longer than the 50 ms after which the runner of a cell looks anyway."""
_Lot: TypeAlias = "repeat[None]"


class ThreadLane:
    """A lane over a blocking call; see `Lane` in backends.base.

    Credits come in lots, each an iterator: the thread sleeps until there is a lot, and starts an inference for each
    step of it; withdrawing them is stepping to its end. One step is one operation of the interpreter, so the two race
    for a credit and never lose one, and a credit costs some 10 ns.

    The thread calls into Trio only when a task has said that it waits, so a task that is behind is woken once, not per
    inference; and while credits are plenty, only when nobody has looked for 100 ms.

    Args:
        body: Whose `run` is called on the lane's thread.
        max_credits: See `Lane.max_credits`.
    """

    def __init__(self, *, index: int, body: RunnableBody, max_credits: int = MIN_CREDITS) -> None:
        self.index = index
        self.max_credits = max_credits
        self._guard = LaneGuard(index=index, max_credits=max_credits)
        self._body = body
        self._has_memory = True
        self._starts: SimpleQueue[_Lot | None] = SimpleQueue()  # None: the end of the thread
        self._lots: list[_Lot] = []  # given, and perhaps not used up
        self._few_credits = max_credits // 4
        self._ring = CompletionRing(max_credits)
        self._granted = 0  # given and not taken back
        self._changed = trio.lowlevel.ParkingLot()
        self._task_waits = False
        self._news_at_ns = 0
        self._failure: Exception | None = None
        self._trio_token = trio.lowlevel.current_trio_token()
        self._thread_scope = trio.CancelScope(shield=True)
        self._started = trio.Event()
        self.refusal: RuntimeError | None = None

    def give_credits(self, count: int) -> None:
        """Allow `count` more inferences; see `Lane.give_credits`."""
        self._guard.check_grant(count, outstanding=self._outstanding(), has_memory=self._has_memory)
        self._granted += count
        lot = repeat(None, count)
        self._lots = [lot, *filter(length_hint, self._lots)]
        self._starts.put(lot)

    def take_credits_back(self) -> int:
        """Withdraw the credits that have started nothing; see `Lane.take_credits_back`."""
        count = sum(len(list(lot)) for lot in self._lots)
        self._granted -= count
        self._changed.unpark_all()  # who waited for more completions has to do with what there is
        return count

    async def wait_completions(self) -> Completions:
        """Return at least one inference that has ended; see `Lane.wait_completions`."""
        await self._wait_news()
        return self.completions_nowait()

    def completions_nowait(self) -> Completions:
        """Return what has ended; the failure of a later inference is raised once nothing is left to take."""
        self._raise_failure()
        self._news_at_ns = now_ns() + _NEWS_AFTER_NS
        return self._ring.take()

    async def infer(self) -> InferenceStamps:
        """Run one inference; see `Lane.infer`."""
        self._raise_failure()
        self._guard.check_free(outstanding=self._outstanding())
        self.give_credits(1)
        await self._wait_news()
        self._raise_failure()
        return self._ring.take_one()

    async def wait_idle(self) -> None:
        """Wait until nothing is in flight. An idle lane says so even after the deadline of its caller."""
        if self._is_idle():
            await trio.lowlevel.cancel_shielded_checkpoint()
        while not self._is_idle():
            self._task_waits = True
            if not self._is_idle():
                await self._changed.park()

    def read_outputs(self) -> Mapping[str, AnyArray]:
        """Return copies of the last outputs; see `Lane.read_outputs`."""
        self._guard.check_outputs_readable(is_idle=self._is_idle())
        return self._body.read_outputs()

    def write_inputs(self, inputs: Mapping[str, AnyArray]) -> None:
        """Replace the inputs; see `Lane.write_inputs`."""
        self._guard.check_inputs_writable(is_idle=self._is_idle())
        self._body.write_inputs(inputs)

    async def free_memory(self) -> None:
        """Give the memory back; see `Lane.free_memory`."""
        self._guard.check_free(outstanding=self._outstanding())
        self._has_memory = False
        with trio.CancelScope(shield=True):
            await self._body.free_memory()

    async def take_memory(self) -> None:
        """Take the memory again; see `Lane.take_memory`."""
        with trio.CancelScope(shield=True):
            await self._body.take_memory()
        self._has_memory = True

    def abandon(self, reason: str) -> None:
        """Let the thread go on without us; it keeps the buffers that it writes to."""
        get_logger().warning("lane_abandoned", lane=self.index, reason=reason)
        self._failure = self._failure or LaneError(f"lane {self.index} was abandoned: {reason}")
        self._starts.put(None)
        self._thread_scope.cancel()
        self._changed.unpark_all()

    @property
    def abandoned(self) -> bool:
        """True once the thread was left alone with an inference that does not end."""
        return self._thread_scope.cancel_called

    def stop(self) -> None:
        """End the thread after what it was granted."""
        self._starts.put(None)

    def release(self) -> None:
        """Let go of the buffers behind the body, once the thread has ended or is abandoned."""
        self._body = EmptyBody()

    async def run_thread(self) -> None:
        """Own the lane's thread until `stop` or `abandon`; cancelling from outside waits for it.

        A thread that the system refuses is left in `refusal`.
        """

        def work() -> None:
            self._trio_token.run_sync_soon(self._started.set)
            self._work()

        with self._thread_scope:
            # A limiter of its own: lanes would use up the default one, which everybody else waits for.
            limiter = trio.CapacityLimiter(1)
            try:
                await trio.to_thread.run_sync(work, abandon_on_cancel=True, limiter=limiter)
            except RuntimeError as error:  # `_work` raises nothing: this is "can't start new thread"
                self.refusal = error
                self._started.set()

    async def wait_started(self) -> None:
        """Wait until the thread runs, or was refused."""
        await self._started.wait()

    def _work(self) -> None:
        """Run inferences while there are credits. The lane's thread."""
        wait_lot = self._starts.get
        try:
            while (lot := wait_lot()) is not None:
                self._run_lot(lot)
        except Exception as error:  # noqa: BLE001 - a thread has nobody to raise to; the lane's next call does
            self._failure = self._body.explain(error) or error
            self._wake_tasks()

    def _run_lot(self, lot: _Lot) -> None:
        """Run an inference for each credit of a lot.

        Nothing is allocated here but ints, and nothing is called that could be left out: what stands around the two
        stamps is a cost of every inference (docs/performance.md, "Very fast networks").
        """
        clock, run, ring, few_credits = now_ns, self._body.run, self._ring, self._few_credits
        issued, completed, mask, pushed = ring.issued_at_ns, ring.completed_at_ns, ring.mask, ring.pushed
        for _ in lot:
            issued_at_ns = clock()
            run()
            completed_at_ns = clock()
            slot = pushed & mask
            issued[slot] = issued_at_ns
            completed[slot] = completed_at_ns
            pushed += 1
            ring.pushed = pushed  # after the slot is whole: see CompletionRing
            if self._task_waits and (completed_at_ns >= self._news_at_ns or self._granted - pushed < few_credits):
                self._wake_tasks()

    def _wake_tasks(self) -> None:
        self._task_waits = False
        with suppress(trio.RunFinishedError):  # an abandoned thread may outlive the Trio run
            self._trio_token.run_sync_soon(self._changed.unpark_all, idempotent=True)

    def _has_news(self) -> bool:
        return len(self._ring) > 0 or self._failure is not None

    async def _wait_news(self) -> None:
        self._news_at_ns = now_ns() + _NEWS_AFTER_NS
        if self._has_news():
            await trio.lowlevel.checkpoint()
        while not self._has_news():
            # Said before it is looked at again: the thread pushes first and looks second, so one of us sees the other.
            self._task_waits = True
            if not self._has_news():
                await self._changed.park()

    def _outstanding(self) -> int:
        return self._granted - self._ring.taken

    def _is_idle(self) -> bool:
        return self._granted == self._ring.pushed or self._failure is not None

    def _raise_failure(self) -> None:
        """Raise what stopped the lane, once all that had ended before it has been taken."""
        if self._failure is None or self._ring:
            return
        if isinstance(self._failure, LaneError | DoesNotFitError):
            raise self._failure
        text, remedy = text_line(self._failure), ""
        if isinstance(self._failure, AsyncbenchError):
            text, remedy = self._failure.message, self._failure.remedy
        raise LaneError(f"lane {self.index}: {text}", remedy=remedy, lane=self.index, error=text) from self._failure


class LaneThreads:
    """The threads of some lanes: started on entry; stopped and joined on exit, for which the lanes must be drained.

    Not a generator around a nursery, because Trio would wrap every error of the body in a group.
    """

    def __init__(self, lanes: Sequence[ThreadLane]) -> None:
        self._lanes = lanes
        self._nursery_manager = trio.open_nursery()

    async def __aenter__(self) -> None:
        nursery = await self._nursery_manager.__aenter__()
        for lane in self._lanes:
            nursery.start_soon(lane.run_thread)
        with trio.CancelScope(shield=True):  # a thread that was asked for cannot be taken back
            for lane in self._lanes:
                await lane.wait_started()
        refusals = [lane.refusal for lane in self._lanes if lane.refusal is not None]
        if refusals:
            error = self._refusal(len(self._lanes) - len(refusals))
            await self.__aexit__(None, None, None)
            raise error from refusals[0]

    def _refusal(self, running: int) -> LimitError:
        """Return what to say where only so many threads run; while they do, so that the limit can be seen."""
        needed = len(self._lanes)
        return LimitError(
            f"{needed} lanes need {needed} threads, number {running + 1} was refused: {thread_limit_text()}",
            remedy=f"lower --concurrency to {running}, or raise that limit" if running else "raise that limit",
            threads_needed=needed,
            threads_that_fit=running,
        )

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for lane in self._lanes:
            lane.stop()
        await self._nursery_manager.__aexit__(None, None, None)  # noqa: ASYNC102 - idle or abandoned threads end at once
        for lane in self._lanes:
            lane.release()


@asynccontextmanager
async def running(lanes: Sequence[ThreadLane]) -> AsyncIterator[None]:
    """Run the threads of lanes; leaving drains, stops and joins them."""
    async with LaneThreads(lanes), drained(lanes):
        yield
