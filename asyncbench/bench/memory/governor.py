"""Governor of a running cell: takes lanes away when memory is short, and gives them back when there is room."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

import trio

from asyncbench.backends.base import Lane
from asyncbench.backends.draining import DRAIN_LIMIT_S
from asyncbench.bench.load.generator import LoadGenerator
from asyncbench.bench.memory.admission_controller import Headroom
from asyncbench.errors import DeviceLostError, DoesNotFitError
from asyncbench.event_log import get_logger
from asyncbench.memory.available import LimitedBy
from asyncbench.memory.forecast import MemoryForecast
from asyncbench.memory.governor_rule import GovernorRule, LaneGovernor, LaneReading
from asyncbench.results.cell_parts import LaneChange

PERIOD_S = 0.1
MAX_EVENTS = 64

ReadHeadrooms = Callable[[], Awaitable[Sequence[Headroom]]]

_log = get_logger()


class Governor:
    """Owner of the decision which lanes of a cell have their memory. One per cell; runs beside each of its loops.

    The reserve that it keeps is half of what admission leaves: a cell that was just admitted shall not be disturbed by
    a few megabytes that nobody could predict.

    Args:
        read_headrooms: See `AdmissionController.headrooms`.
        lane_need: What one lane holds.
        on_change: Takes, at each change, whether all lanes run.
    """

    def __init__(
        self,
        read_headrooms: ReadHeadrooms,
        lanes: Sequence[Lane],
        *,
        lane_need: MemoryForecast,
        now_ns: Callable[[], int],
        on_change: Callable[[bool], None],
    ) -> None:
        self.changes: list[LaneChange] = []
        self.withheld: list[int] = []
        self._read_headrooms = read_headrooms
        self._lanes = lanes
        self._lane_need = lane_need
        self._now_ns = now_ns
        self._on_change = on_change
        self._governors: dict[LimitedBy, LaneGovernor] = {}
        self._short: LimitedBy | None = None
        self._withheld_ns = 0
        self._withheld_since_ns: int | None = None

    @property
    def active(self) -> list[Lane]:
        """The lanes that have their memory."""
        return [lane for index, lane in enumerate(self._lanes) if index not in self.withheld]

    def withheld_ns(self) -> int:
        """Return for how long at least one lane was withheld."""
        running = 0 if self._withheld_since_ns is None else self._now_ns() - self._withheld_since_ns
        return self._withheld_ns + running

    async def run(self, loop: LoadGenerator) -> None:
        """Watch until cancelled."""
        self._on_change(not self.withheld)  # a loop before this one may have been cancelled on the way to a change
        while True:
            await trio.sleep(PERIOD_S)
            # Lanes that hold nothing of a memory cannot help where that is short.
            headrooms = [each for each in await self._read_headrooms() if self._lane_bytes(each.limited_by)]
            if not headrooms:
                continue
            # Where all agree, the memory that was short decides: that there is room again is reported of it.
            headrooms.sort(key=lambda headroom: headroom.limited_by is not self._short)
            wanted, headroom = min(((self._wanted(each), each) for each in headrooms), key=lambda pair: pair[0])
            await self._move_to(wanted, headroom, loop)

    def _wanted(self, headroom: Headroom) -> int:
        reserve_bytes = headroom.reserve_bytes // 2
        rule = GovernorRule(reserve_bytes=reserve_bytes)
        governor = self._governors.setdefault(headroom.limited_by, LaneGovernor(rule))
        return governor.next_lanes(
            LaneReading(
                available_bytes=headroom.free_bytes,
                lane_bytes=self._lane_bytes(headroom.limited_by),
                active=len(self._lanes) - len(self.withheld),
                resident=len(self._lanes),
                now_ns=self._now_ns(),
            )
        )

    def _lane_bytes(self, memory: LimitedBy) -> int:
        need = self._lane_need
        return {
            LimitedBy.DEVICE: need.device_bytes,
            LimitedBy.HOST: need.host_bytes,
            LimitedBy.POOL: need.device_bytes + need.host_bytes,
        }[memory]

    async def _move_to(self, wanted: int, headroom: Headroom, loop: LoadGenerator) -> None:
        active = len(self._lanes) - len(self.withheld)
        if wanted == active:
            return
        try:
            if wanted < active:
                self._short = headroom.limited_by
                await self._take_away(active - wanted, loop)
            else:
                await self._give_back(loop)
        finally:  # of several lanes some may have gone when the loop ends
            if len(self._lanes) - len(self.withheld) != active:
                self._note(headroom)

    async def _take_away(self, count: int, loop: LoadGenerator) -> None:
        if not self.withheld:
            loop.flush()  # what has completed so far was not disturbed
            self._on_change(False)  # not all lanes run
        for _ in range(count):
            index = len(self._lanes) - len(self.withheld) - 1
            await loop.withhold(index)
            await self._lanes[index].free_memory()
            # Only now: whoever is cancelled before leaves a lane that has its memory, and counts as active.
            self.withheld.append(index)
            if self._withheld_since_ns is None:
                self._withheld_since_ns = self._now_ns()

    async def _give_back(self, loop: LoadGenerator) -> None:
        index = self.withheld[-1]
        try:
            await self._lanes[index].take_memory()
        except DoesNotFitError as error:
            _log.info("governor.refused", lane=index, message=error.message)
            return
        await _run_once(self._lanes[index])
        self.withheld.pop()
        if self._withheld_since_ns is not None and not self.withheld:
            self._withheld_ns += self._now_ns() - self._withheld_since_ns
            self._withheld_since_ns = None
            loop.flush()  # what has completed so far was disturbed
            self._on_change(True)  # all lanes run
        loop.resume(index)

    def _note(self, headroom: Headroom) -> None:
        change = LaneChange(
            at_ns=self._now_ns(),
            lanes=len(self._lanes) - len(self.withheld),
            limited_by=str(headroom.limited_by),
            free_bytes=max(0, headroom.free_bytes),  # below 0 where a limit is overdrawn
        )
        _log.info("governor.changed", lanes=change.lanes, limited_by=change.limited_by, free=change.free_bytes)
        del self.changes[MAX_EVENTS - 1 :]  # the last one tells how it ended
        self.changes.append(change)


async def _run_once(lane: Lane) -> None:
    """Warm a lane up, uncounted: its outputs are compared at the end of the cell, whether or not it gets a turn."""
    with trio.move_on_after(DRAIN_LIMIT_S, shield=True):
        await lane.infer()
        return
    raise DeviceLostError(f"lane {lane.index} did not finish within {DRAIN_LIMIT_S:.0f} s of getting its memory back")
