"""Rule for the number of lanes under memory pressure: fewer at once, more again slowly."""

from __future__ import annotations

from dataclasses import dataclass

from asyncbench.clock import NS_PER_S

_FLOOR_DIVISOR = 4
_ROOM_PERCENT = 125  # of a lane: what giving one back must leave above the reserve is a quarter of a lane


@dataclass(frozen=True, slots=True, kw_only=True)
class GovernorRule:
    """Thresholds and delays by which lanes are taken away and given back.

    Attributes:
        reserve_bytes: What should stay free, >= 0.
        settle_ns: How long there must have been room without a break before a lane is given back.
    """

    reserve_bytes: int
    settle_ns: int = NS_PER_S

    @property
    def floor_bytes(self) -> int:
        """Below this not even the last lane stays."""
        return self.reserve_bytes // _FLOOR_DIVISOR


@dataclass(frozen=True, slots=True, kw_only=True)
class LaneReading:
    """Memory and lanes at one instant, read once the lanes that were asked to free their memory have done so.

    Attributes:
        available_bytes: What is free now.
        lane_bytes: What one lane frees when it goes, >= 0.
        active: Lanes that hold their memory.
        resident: Lanes that the cell was admitted with.
        now_ns: On any clock that does not go back.
    """

    available_bytes: int
    lane_bytes: int
    active: int
    resident: int
    now_ns: int


class LaneGovernor:
    """Decides for one memory. Sync; remembers only since when there has been room.

    Below the reserve it takes at once as many lanes as bring the reserve back, at least one. The last lane stays
    while `floor_bytes` are free beside it, so that a cell goes on, slowly. One lane at a time comes back after
    `settle_ns` with room for 1.25 lanes above the reserve (the first one: above the floor).

    It does not take fewer lanes than needed nor more, so the freed ones leave less than one lane above the reserve:
    what they free never brings one back by itself, and one that came back leaves a quarter of a lane to spare. This
    holds while `lane_bytes` is right within a quarter.

    An answer is repeated until `active` follows it. So of two governors, one per memory, the smaller answer counts,
    and the patient one does not have to start again.
    """

    def __init__(self, rule: GovernorRule) -> None:
        self._rule = rule
        self._active: int | None = None
        self._room_since_ns: int | None = None

    def next_lanes(self, reading: LaneReading) -> int:
        """Return how many lanes should be active from now on: from 0 to `resident`, and at most one more than are."""
        self._note_room(reading)
        if reading.available_bytes < self._rule.reserve_bytes and reading.active > 0:
            return min(self._fewer(reading), reading.resident)
        if self._room_since_ns is not None and reading.now_ns - self._room_since_ns >= self._rule.settle_ns:
            return min(reading.active + 1, reading.resident)
        return min(reading.active, reading.resident)

    def _note_room(self, reading: LaneReading) -> None:
        if reading.active != self._active or not self._has_room(reading):
            self._room_since_ns = None
        if self._room_since_ns is None and self._has_room(reading):
            self._room_since_ns = reading.now_ns
        self._active = reading.active

    def _has_room(self, reading: LaneReading) -> bool:
        keep_bytes = self._rule.reserve_bytes if reading.active else self._rule.floor_bytes
        return (reading.available_bytes - keep_bytes) * 100 >= reading.lane_bytes * _ROOM_PERCENT

    def _fewer(self, reading: LaneReading) -> int:
        missing_bytes = self._rule.reserve_bytes - reading.available_bytes
        enough = -(-missing_bytes // reading.lane_bytes) if reading.lane_bytes else 1
        with_one_bytes = reading.available_bytes + (reading.active - 1) * reading.lane_bytes
        lowest = 0 if with_one_bytes < self._rule.floor_bytes else 1
        return max(reading.active - enough, lowest)
