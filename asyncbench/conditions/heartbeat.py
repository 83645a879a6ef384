"""Heartbeat: stretches in which the process stood still, stopped by a signal, frozen or suspended with the machine."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from asyncbench.clock import NS_PER_MS, suspended_ns
from asyncbench.conditions.own_process import cpu_time_ns
from asyncbench.results.cell_parts import Stalls

# A beat that is late by less is the scheduler's doing, or that of lanes that hold the interpreter.
_SHORTEST_STALL_NS = 250 * NS_PER_MS
_TIMES_LATE = 10  # than is usual
# Of the time between two beats: a process that computed for more than this was not standing still. Guess.
_BUSY_RATIO = 0.25
_SHORTEST_SUSPENSION_NS = 100 * NS_PER_MS
# More of them in one window make no difference to what it is worth.
_STALLS_KEPT = 1024

Clock = Callable[[], int]


@dataclass(frozen=True, slots=True)
class _Beat:
    at_ns: int
    cpu_ns: int
    suspended_ns: int


@dataclass(frozen=True, slots=True)
class _Stall:
    from_ns: int
    until_ns: int
    lost_ns: int


class Heartbeat:
    """Watch over the gaps between its own beats. Sync; whoever owns it calls `beat` about as regularly as it can.

    A beat that is much too late is a stall only if the process hardly used a processor meanwhile: one that is busy, or
    whose interpreter is held by lanes, uses it; one that was stopped cannot. A slow inference delays no beat.

    Args:
        now_ns: The clock of the stamps.
        every_ns: Between two beats, if nothing makes them late.
    """

    def __init__(
        self, now_ns: Clock, *, every_ns: int, cpu_time_ns: Clock = cpu_time_ns, suspended_ns: Clock = suspended_ns
    ) -> None:
        self._now_ns = now_ns
        self._every_ns = every_ns
        self._cpu_time_ns = cpu_time_ns
        self._suspended_ns = suspended_ns
        self._last = self._read()
        self._usual_beats = 0
        self._usual_gap_ns = 0
        self._usual_cpu_ns = 0
        self._stalls: deque[_Stall] = deque(maxlen=_STALLS_KEPT)
        self._suspensions: deque[tuple[int, int]] = deque(maxlen=_STALLS_KEPT)

    def start(self) -> None:
        """Begin anew after a time in which nobody called `beat`: that is no stall."""
        self._last = self._read()

    def beat(self) -> bool:
        """Look at the time since the last beat; return whether the process stood still in it."""
        before, now = self._last, self._read()
        self._last = now
        gap_ns, cpu_ns = now.at_ns - before.at_ns, now.cpu_ns - before.cpu_ns
        suspended = now.suspended_ns - before.suspended_ns > _SHORTEST_SUSPENSION_NS
        if suspended:
            self._suspensions.append((now.at_ns, now.suspended_ns - before.suspended_ns))
        if gap_ns > self._longest_usual_ns() and cpu_ns <= self._max_cpu_ns(gap_ns):
            self._stalls.append(_Stall(before.at_ns, now.at_ns, gap_ns - self._mean_gap_ns()))
            return True
        if gap_ns <= self._longest_usual_ns():
            self._usual_beats += 1
            self._usual_gap_ns += gap_ns
            self._usual_cpu_ns += cpu_ns
        return suspended

    def stalled_since(self, at_ns: int) -> bool:
        """Return whether a stall ended after that instant."""
        return bool(self._stalls) and self._stalls[-1].until_ns > at_ns

    def stalls(self, *, opened_at_ns: int, ended_at_ns: int) -> Stalls | None:
        """Return the stalls as far as they lie inside a window; None where there was none."""
        inside = [_inside_ns(stall, opened_at_ns, ended_at_ns) for stall in self._stalls]
        inside = [lost_ns for lost_ns in inside if lost_ns >= _SHORTEST_STALL_NS - self._mean_gap_ns()]
        suspended = [lost_ns for at_ns, lost_ns in self._suspensions if opened_at_ns <= at_ns <= ended_at_ns]
        if not inside and not suspended:
            return None
        return Stalls(
            n=len(inside), total_ns=sum(inside), longest_ns=max(inside, default=0), suspended_ns=sum(suspended)
        )

    def _read(self) -> _Beat:
        return _Beat(self._now_ns(), self._cpu_time_ns(), self._suspended_ns())

    def _mean_gap_ns(self) -> int:
        return self._usual_gap_ns // self._usual_beats if self._usual_beats else 0

    def _longest_usual_ns(self) -> int:
        return max(_SHORTEST_STALL_NS, _TIMES_LATE * (self._mean_gap_ns() - self._every_ns))

    def _max_cpu_ns(self, gap_ns: int) -> int:
        """Return what a process that was stopped may have used: it ran as usual before and after, for a beat each."""
        mean_cpu_ns = self._usual_cpu_ns // self._usual_beats if self._usual_beats else 0
        return int(gap_ns * _BUSY_RATIO) + 2 * mean_cpu_ns


def _inside_ns(stall: _Stall, opened_at_ns: int, ended_at_ns: int) -> int:
    inside_ns = min(stall.until_ns, ended_at_ns) - max(stall.from_ns, opened_at_ns)
    return max(0, min(stall.lost_ns, inside_ns))
