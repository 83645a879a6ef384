"""The native pump under Trio: one task that listens to its file descriptor and wakes the lanes that have news."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import NoReturn

import trio

from asyncbench import _pump
from asyncbench.backends.draining import DRAIN_LIMIT_S, drained
from asyncbench.backends.lane_body import EmptyBody, GraphBody
from asyncbench.backends.lane_credits import credits_per_lane
from asyncbench.backends.lane_guard import LaneGuard
from asyncbench.backends.tensorrt.run.cuda_device import cuda_error
from asyncbench.backends.tensorrt.settings import LaneSettings
from asyncbench.errors import BackendUnavailableError, DeviceLostError, LaneError
from asyncbench.event_log import get_logger
from asyncbench.measurement.stamps import Completions, InferenceStamps
from asyncbench.tensors import AnyArray

# 100 ms of work for one lane of 64 at 40 µs an inference; of fewer lanes each gets more: see credits_per_lane.
_MIN_CREDITS = 4096
# How long a look for idleness may hold a worker thread; the next look can be cancelled.
_IDLE_LOOK_NS = 20_000_000

_log = get_logger()


_DEFAULT_SETTINGS = LaneSettings()


class PumpReactor:
    """Owner of a native pump, which wakes the tasks that wait for one of its lanes."""

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

    async def wait_ready(self, lane: int, *, armed: bool) -> None:
        """Wait until an armed `lane` has a completion, has none to come, or has failed; at once if that is so.

        Args:
            armed: False if there is nothing to wait for yet: `arm_if_waiting` does it once there is.
        """
        self._waiting[lane] = trio.lowlevel.current_task()
        if armed:
            self.pump.arm(lane)

        def abort(_raise_cancel: Callable[[], NoReturn]) -> trio.lowlevel.Abort:
            self._waiting.pop(lane, None)
            return trio.lowlevel.Abort.SUCCEEDED

        await trio.lowlevel.wait_task_rescheduled(abort)

    def arm_if_waiting(self, lane: int) -> None:
        """Have a task that waits for `lane` woken by what comes now."""
        if lane in self._waiting:
            self.pump.arm(lane)


@asynccontextmanager
async def open_pump(cuda_context: int, *, completion: str, library: str | None = None) -> AsyncIterator[PumpReactor]:
    """Start the pump's thread; leaving drains what is in flight and joins it.

    Args:
        library: The driver library; the system's unless a test brings its own.

    Raises:
        BackendUnavailableError: The pump cannot use the driver or the context.
    """
    try:
        pump = await trio.to_thread.run_sync(lambda: _pump.Pump(cuda_context, completion=completion, library=library))
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
        with trio.move_on_after(DRAIN_LIMIT_S, shield=True):
            if not await trio.to_thread.run_sync(pump.close):
                _log.warning("pump_not_drained", reason="something was still in flight: its memory is leaked")


@asynccontextmanager
async def open_pump_lanes(
    reactor: PumpReactor, bodies: Sequence[GraphBody], settings: LaneSettings = _DEFAULT_SETTINGS
) -> AsyncIterator[Sequence[PumpLane]]:
    """Hand lanes to the pump; leaving drains them and takes them back, but for those that had to be abandoned."""
    lanes: list[PumpLane] = []
    try:
        most = credits_per_lane(max(1, len(bodies)), at_least=_MIN_CREDITS)
        for index, body in enumerate(bodies):
            number = _add_lane(reactor.pump, body, settings, max_credits=most)
            lane = PumpLane(reactor, number, index=index, body=body, max_credits=most, settings=settings)
            lanes.append(lane)
        async with drained(lanes):
            yield lanes
    finally:
        for lane in lanes:
            lane.close()


@asynccontextmanager
async def open_empty_pump_lane(reactor: PumpReactor) -> AsyncIterator[PumpLane]:
    """Let the pump drive a lane without device work."""
    most = credits_per_lane(1, at_least=_MIN_CREDITS)
    lane = PumpLane(reactor, reactor.pump.add_empty_lane(most), index=0, body=EmptyBody(), max_credits=most)
    try:
        async with drained([lane]):
            yield lane
    finally:
        lane.close()


def _add_lane(pump: _pump.Pump, body: GraphBody, settings: LaneSettings, *, max_credits: int) -> int:
    return pump.add_lane(
        body.stream,
        body.graph_exec,
        max_credits,
        depth=settings.depth,
        gpu_time=settings.gpu_time,
        deadline_ns=settings.deadline_ns,
    )


class PumpLane:
    """A lane whose inferences the native pump launches and stamps; see `Lane` in backends.base.

    Args:
        number: What the pump calls the lane; another one each time that its memory was taken.
        body: What is launched; an empty one for a lane without device work.
        max_credits: See `Lane.max_credits`; what the pump was told of the lane.
    """

    def __init__(
        self,
        reactor: PumpReactor,
        number: int,
        *,
        index: int,
        body: GraphBody | EmptyBody,
        max_credits: int,
        settings: LaneSettings = _DEFAULT_SETTINGS,
    ) -> None:
        self.index = index
        self.max_credits = max_credits
        self._guard = LaneGuard(index=index, max_credits=max_credits)
        self.number = number
        self.abandoned = False
        self._reactor = reactor
        self._pump = reactor.pump
        self._body = body
        self._settings = settings
        self._outstanding = 0  # granted, and neither withdrawn nor taken as completions
        self._closed = False

    def give_credits(self, count: int) -> None:
        """See `Lane.give_credits`."""
        self._guard.check_grant(count, outstanding=self._outstanding, has_memory=not self._closed)
        self._pump.give_credits(self.number, count)
        self._outstanding += count
        self._reactor.arm_if_waiting(self.number)

    def take_credits_back(self) -> int:
        """See `Lane.take_credits_back`."""
        if self._closed:
            return 0
        count = self._pump.take_credits_back(self.number)
        self._outstanding -= count
        return count

    async def wait_completions(self) -> Completions:
        """See `Lane.wait_completions`."""
        # Cancelled before anything is taken, or not at all: what was taken and not returned would be lost.
        await trio.lowlevel.checkpoint_if_cancelled()
        done = self.completions_nowait()
        if len(done):
            await trio.lowlevel.cancel_shielded_checkpoint()
        while not len(done):
            await self._reactor.wait_ready(self.number, armed=self._outstanding > 0)
            done = self.completions_nowait()
        return done

    def completions_nowait(self) -> Completions:
        """See `Lane.completions_nowait`; a failure is raised once nothing is left to take."""
        if self._closed:
            return Completions.none()
        issued_at_ns, enqueue_ns, completed_at_ns, gpu_ns = self._pump.drain(self.number)
        if not len(completed_at_ns):
            self._raise_failure()
        self._outstanding -= len(completed_at_ns)
        return Completions(
            issued_at_ns=issued_at_ns, completed_at_ns=completed_at_ns, enqueue_ns=enqueue_ns, gpu_ns=gpu_ns
        )

    async def infer(self) -> InferenceStamps:
        """See `Lane.infer`."""
        if self._outstanding:
            self._raise_failure()
        self._guard.check_free(outstanding=self._outstanding)
        self._guard.check_grant(1, outstanding=0, has_memory=not self._closed)
        self._pump.give_credits(self.number, 1)
        self._outstanding = 1
        await self._reactor.wait_ready(self.number, armed=True)
        issued_at_ns, _, completed_at_ns, _ = self._pump.drain(self.number)
        if not len(completed_at_ns):
            self._raise_failure()
        self._outstanding = 0
        return InferenceStamps(issued_at_ns=int(issued_at_ns[0]), completed_at_ns=int(completed_at_ns[0]))

    async def wait_idle(self) -> None:
        """See `Lane.wait_idle`."""
        if self._is_idle():
            await trio.lowlevel.cancel_shielded_checkpoint()
            return
        while not await trio.to_thread.run_sync(self._pump.wait_idle, self.number, _IDLE_LOOK_NS):
            pass

    def read_outputs(self) -> Mapping[str, AnyArray]:
        """See `Lane.read_outputs`."""
        self._guard.check_outputs_readable(is_idle=self._is_idle())
        return self._body.read_outputs()

    def write_inputs(self, inputs: Mapping[str, AnyArray]) -> None:
        """See `Lane.write_inputs`."""
        self._guard.check_inputs_writable(is_idle=self._is_idle())
        self._body.write_inputs(inputs)

    async def free_memory(self) -> None:
        """See `Lane.free_memory`."""
        self._guard.check_free(outstanding=self._outstanding or int(not self._is_idle()))
        self._take_from_pump()
        with trio.CancelScope(shield=True):
            await self._body.free_memory()

    async def take_memory(self) -> None:
        """See `Lane.take_memory`."""
        with trio.CancelScope(shield=True):
            await self._body.take_memory()
        if not isinstance(self._body, EmptyBody):
            self.number = _add_lane(self._pump, self._body, self._settings, max_credits=self.max_credits)
            self._closed = False

    def abandon(self, reason: str) -> None:
        """See `Lane.abandon`: what the device may still write to is never freed."""
        _log.warning("lane_abandoned", lane=self.index, reason=reason)
        self.abandoned = True

    def close(self) -> None:
        """Take an idle lane back from the pump and let go of its buffers; an abandoned one stays as it is."""
        if not self.abandoned:
            self._take_from_pump()
            self._body = EmptyBody()

    def _take_from_pump(self) -> None:
        if not self._closed:
            self._pump.remove_lane(self.number)
            self._closed = True

    def _is_idle(self) -> bool:
        return self._closed or self._pump.wait_idle(self.number, 0)

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
