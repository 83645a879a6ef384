"""A lane of the simulated device, on Trio's clock."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import trio

from asyncbench.backends.completion_ring import CompletionRing
from asyncbench.backends.lane_credits import credits_at
from asyncbench.backends.lane_guard import LaneGuard
from asyncbench.backends.simulated.device import NEVER_NS, LaneQueue, SimulatedDevice
from asyncbench.clock import NS_PER_MS, NS_PER_S
from asyncbench.errors import LaneError
from asyncbench.event_log import get_logger
from asyncbench.measurement.stamps import Completions, InferenceStamps
from asyncbench.tensors import AnyArray

_MIN_CREDITS = 1024
_LATEST_NEWS_NS = 50 * NS_PER_MS


def trio_now_ns() -> int:
    """Return Trio's clock, real or mocked. Rounded: a float of seconds is exact to the nanosecond for 100 days."""
    return round(trio.current_time() * NS_PER_S)


def ring_for(median_ns: int) -> CompletionRing:
    """Return a ring of as many completions as a lane with such service times may have ahead."""
    return CompletionRing(credits_at(median_ns, at_least=_MIN_CREDITS))


class SimulatedLane:
    """A lane over a queue of the simulated device; see `Lane` in backends.base.

    Completions are handed over in the lot: a lane with many credits wakes its task when about a quarter of them are
    used, and at the latest 50 ms after the next completion. Stamps do not depend on that, and a lane with one credit
    wakes it at the very instant.

    Args:
        median_ns: What an inference is expected to take; decides when a task is woken, and nothing else.
        memory_bytes: What the lane holds of the device's memory; its maker has reserved it.
        compute: Returns the outputs of inputs, which it does not keep.
        outputs: Of the inputs that the lane starts with.
        wrong_from: After so many inferences the outputs are off by 1.
    """

    def __init__(
        self,
        device: SimulatedDevice,
        queue: LaneQueue,
        *,
        median_ns: int,
        memory_bytes: int,
        compute: Callable[[Mapping[str, AnyArray]], Mapping[str, AnyArray]],
        outputs: Mapping[str, AnyArray],
        wrong_from: int | None = None,
    ) -> None:
        self.index = queue.index
        self.max_credits = queue.ring.capacity
        self._guard = LaneGuard(index=self.index, max_credits=self.max_credits)
        self.abandoned = False
        self.has_memory = True
        self._device = device
        self._queue = queue
        self._ring: CompletionRing = queue.ring
        self._median_ns = median_ns
        self._memory_bytes = memory_bytes
        self._compute = compute
        self._first_outputs = self._outputs = outputs
        self._wrong_from = wrong_from
        self._granted = 0  # given and not taken back
        self._changed = trio.lowlevel.ParkingLot()

    def give_credits(self, count: int) -> None:
        """Allow `count` more inferences; see `Lane.give_credits`."""
        self._guard.check_grant(count, outstanding=self._outstanding(), has_memory=self.has_memory)
        self._granted += count
        now_ns = self._advance()
        self._device.give(self._queue, count, at_ns=now_ns)
        self._changed.unpark_all()

    def take_credits_back(self) -> int:
        """Withdraw the credits that have started nothing; see `Lane.take_credits_back`."""
        self._advance()
        count = self._queue.credits
        self._queue.credits = 0
        self._granted -= count
        self._changed.unpark_all()
        return count

    async def wait_completions(self) -> Completions:
        """Return at least one inference that has ended; see `Lane.wait_completions`."""
        await self._wait_news()
        return self.completions_nowait()

    def completions_nowait(self) -> Completions:
        """Return what has ended; the failure of a later inference is raised once nothing is left to take."""
        self._advance()
        self._raise_failure()
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
            await self._wait_change()

    def read_outputs(self) -> Mapping[str, AnyArray]:
        """Return the outputs of the last inference; see `Lane.read_outputs`."""
        self._guard.check_outputs_readable(is_idle=self._is_idle())
        is_wrong = self._wrong_from is not None and self._ring.pushed > self._wrong_from
        return {name: array + 1 if is_wrong else array.copy() for name, array in self._outputs.items()}

    def write_inputs(self, inputs: Mapping[str, AnyArray]) -> None:
        """Replace the inputs; see `Lane.write_inputs`."""
        # On any thread, so not by asking the clock: what has completed but was not looked at counts as running.
        self._guard.check_inputs_writable(is_idle=self._queue.completes_at_ns is None or self.abandoned)
        self._outputs = self._compute(inputs)

    async def free_memory(self) -> None:
        """Give the memory back to the device; see `Lane.free_memory`."""
        await trio.lowlevel.cancel_shielded_checkpoint()
        self._guard.check_free(outstanding=self._outstanding())
        if self.has_memory:
            self._device.free_bytes += self._memory_bytes
            self.has_memory = False

    async def take_memory(self) -> None:
        """Take the memory again; see `Lane.take_memory`."""
        await trio.lowlevel.cancel_shielded_checkpoint()
        if not self.has_memory:
            self._device.reserve(self._memory_bytes, f"lane {self.index}")
            self.has_memory = True
            self._outputs = self._first_outputs

    def abandon(self, reason: str) -> None:
        """Leave the lane to its hanging inference; its device memory and its slot stay taken."""
        get_logger().warning("lane_abandoned", lane=self.index, reason=reason)
        self.abandoned = True
        self._queue.failure = self._queue.failure or LaneError(f"lane {self.index} was abandoned: {reason}")
        self._changed.unpark_all()

    def _outstanding(self) -> int:
        return self._granted - self._ring.taken

    def _advance(self) -> int:
        now_ns = trio_now_ns()
        self._device.advance(now_ns)
        return now_ns

    def _has_news(self) -> bool:
        return len(self._ring) > 0 or self._queue.failure is not None

    def _is_idle(self) -> bool:
        self._advance()
        return self._queue.completes_at_ns is None or self.abandoned

    async def _wait_news(self) -> None:
        self._advance()
        if self._has_news():
            await trio.lowlevel.checkpoint()
        while not self._has_news():
            await self._wait_change()
            self._advance()

    async def _wait_change(self) -> None:
        with trio.move_on_at(self._news_at_s()):
            await self._changed.park()

    def _news_at_s(self) -> float:
        """Return when to look again, in seconds of Trio's clock."""
        completes_at_ns = self._queue.completes_at_ns
        if completes_at_ns is None or completes_at_ns == NEVER_NS:
            return math.inf
        return (completes_at_ns + min(self._queue.credits // 4 * self._median_ns, _LATEST_NEWS_NS)) / NS_PER_S

    def _raise_failure(self) -> None:
        """Raise what stopped the lane, once all that had ended before it has been taken."""
        if self._queue.failure is not None and not self._ring:
            raise self._queue.failure
