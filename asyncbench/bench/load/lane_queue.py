"""Queue for lanes: whoever is done gives its lane to the worker that has waited longest."""

from __future__ import annotations

from collections.abc import Sequence

import trio

from asyncbench.backends.base import Lane
from asyncbench.bench.load.lane_gate import LaneGate


class LaneQueue:
    """Lanes that are free, first come, first served; those whose gate is closed are not handed out."""

    def __init__(self, lanes: Sequence[Lane], gates: Sequence[LaneGate]) -> None:
        self._gates = dict(zip((lane.index for lane in lanes), gates, strict=True))
        self._send, self._receive = trio.open_memory_channel[Lane](len(lanes))
        self._parked: dict[int, Lane] = {}
        for lane in lanes:
            self._send.send_nowait(lane)

    async def take(self) -> Lane:
        """Wait for a turn and return the lane."""
        while True:
            lane = await self._receive.receive()
            if not self._is_parked(lane):
                return lane

    def give_back(self, lane: Lane) -> None:
        """Return a lane that is idle."""
        if not self._is_parked(lane):
            self._send.send_nowait(lane)

    def park_idle(self) -> None:
        """Take lanes whose gate was closed out of those that are free."""
        free: list[Lane] = []
        while self._receive.statistics().current_buffer_used:
            free.append(self._receive.receive_nowait())
        for lane in free:
            self.give_back(lane)

    def unpark(self, index: int) -> None:
        """Hand a lane out again whose gate was opened."""
        if (lane := self._parked.pop(index, None)) is not None:
            self._send.send_nowait(lane)

    def unpark_all(self) -> None:
        """Hand out every lane, so that nobody waits any more."""
        for index in list(self._parked):
            self.unpark(index)

    def _is_parked(self, lane: Lane) -> bool:
        if self._gates[lane.index].closed:
            self._parked[lane.index] = lane
            self._gates[lane.index].mark_idle()
            return True
        return False
