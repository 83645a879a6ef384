"""The native pump under Trio: one task that listens to its file descriptor and wakes the lanes that have news."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import NoReturn

import structlog
import trio

from asyncbench import _pump
from asyncbench.backends.base import AnyArray
from asyncbench.backends.tensorrt.cuda_device import cuda_error
from asyncbench.errors import BackendUnavailableError, DeviceLostError, LaneError
from asyncbench.measurement.stamps import Completions, InferenceStamps

# 100 ms of work for the fastest network that we know (40 µs on one lane): Trio may be that late.
MAX_CREDITS = 4096
# How long a look for idleness may hold a worker thread; the next look can be cancelled.
_IDLE_LOOK_NS = 20_000_000

_log = structlog.get_logger()


class PumpReactor:
    """Owns a native pump and wakes the tasks that wait for one of its lanes."""

    def __init__(self, pump: _pump.Pump) -> None:
        self.pump = pump
        self._waiting: dict[int, trio.lowlevel.Task] = {}

    async def run(self) -> None:
        """Listen until cancelled."""
        wait_readable, fd, ready_lanes = trio.lowlevel.wait_readable, self.pump.fd, self.pump.ready_lanes
        take, reschedule = self._waiting.pop, trio.lowlevel.reschedule
        while True:
            await wait_readable(fd)
            for lane in ready_lanes():
                task = take(lane, None)
                if task is not None:
                    reschedule(task)

    async def wait_ready(self, lane: int) -> None:
        """Wait until `lane` has a completion or has failed; at once if it has."""
        self._waiting[lane] = trio.lowlevel.current_task()
        self.pump.arm(lane)

        def abort(_raise_cancel: Callable[[], NoReturn]) -> trio.lowlevel.Abort:
            self._waiting.pop(lane, None)
            return trio.lowlevel.Abort.SUCCEEDED

        await trio.lowlevel.wait_task_rescheduled(abort)


@asynccontextmanager
async def open_pump(cuda_context: int, *, completion: str) -> AsyncIterator[PumpReactor]:
    """Start the pump's thread; leaving drains what is in flight and joins it.

    Raises:
        BackendUnavailableError: The pump cannot use the driver or the context.
    """
    try:
        pump = await trio.to_thread.run_sync(lambda: _pump.Pump(cuda_context, completion=completion))
    except (OSError, _pump.DriverError) as error:
        raise BackendUnavailableError(f"the native pump cannot start: {error}") from error
    reactor = PumpReactor(pump)
    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(reactor.run)
            try:
                yield reactor
            finally:
                nursery.cancel_scope.cancel()
    finally:
        with trio.CancelScope(shield=True):
            if not await trio.to_thread.run_sync(pump.close):
                _log.warning("pump_not_drained", reason="something was still in flight: its memory is leaked")


class PumpLane:
    """A lane whose inferences the native pump launches and stamps; see `Lane` in backends.base.

    Args:
        number: What the pump calls the lane.
        read_outputs: Returns copies of the outputs of the last inference; blocking, on any thread.
    """

    def __init__(
        self, reactor: PumpReactor, number: int, *, index: int, read_outputs: Callable[[], Mapping[str, AnyArray]]
    ) -> None:
        self.index = index
        self.max_credits = MAX_CREDITS
        self.number = number
        self.abandoned = False
        self._reactor = reactor
        self._pump = reactor.pump
        self._read_outputs = read_outputs

    def give_credits(self, count: int) -> None:
        """See `Lane.give_credits`."""
        self._pump.give_credits(self.number, count)

    def take_credits_back(self) -> int:
        """See `Lane.take_credits_back`."""
        return self._pump.take_credits_back(self.number)

    async def wait_completions(self) -> Completions:
        """See `Lane.wait_completions`."""
        done = self.completions_nowait()
        if len(done):
            await trio.lowlevel.checkpoint()
            return done
        while not len(done):
            await self._reactor.wait_ready(self.number)
            done = self.completions_nowait()
        return done

    def completions_nowait(self) -> Completions:
        """See `Lane.completions_nowait`; a failure is raised once nothing is left to take."""
        issued_at_ns, enqueue_ns, completed_at_ns, gpu_ns = self._pump.drain(self.number)
        if not len(completed_at_ns):
            self._raise_failure()
        return Completions(
            issued_at_ns=issued_at_ns, completed_at_ns=completed_at_ns, enqueue_ns=enqueue_ns, gpu_ns=gpu_ns
        )

    async def infer(self) -> InferenceStamps:
        """See `Lane.infer`."""
        self._pump.give_credits(self.number, 1)
        await self._reactor.wait_ready(self.number)
        issued_at_ns, _, completed_at_ns, _ = self._pump.drain(self.number)
        if not len(completed_at_ns):
            self._raise_failure()
        return InferenceStamps(issued_at_ns=int(issued_at_ns[0]), completed_at_ns=int(completed_at_ns[0]))

    async def wait_idle(self) -> None:
        """See `Lane.wait_idle`."""
        if self._pump.wait_idle(self.number, 0):
            await trio.lowlevel.cancel_shielded_checkpoint()
            return
        while not await trio.to_thread.run_sync(self._pump.wait_idle, self.number, _IDLE_LOOK_NS):
            pass

    def read_outputs(self) -> Mapping[str, AnyArray]:
        """See `Lane.read_outputs`."""
        return self._read_outputs()

    def abandon(self, reason: str) -> None:
        """See `Lane.abandon`: what the device may still write to is never freed."""
        _log.warning("lane_abandoned", lane=self.index, reason=reason)
        self.abandoned = True

    def _raise_failure(self) -> None:
        failure = self._pump.lane_error(self.number)
        if failure is None:
            return
        code, name, text, call = failure
        if not code:
            raise DeviceLostError(f"lane {self.index}: {text}", lane=self.index)
        error = cuda_error(name, text, f"lane {self.index}: {call}", lane=self.index)
        if isinstance(error, LaneError):
            raise error
        refused = LaneError(error.message, remedy=error.remedy)
        refused.facts |= error.facts
        raise refused
