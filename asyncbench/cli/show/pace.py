"""Pace of a sweep: cells that ended, time left."""

from __future__ import annotations

from dataclasses import dataclass

from asyncbench.clock import NS_PER_S
from asyncbench.units import format_duration

_MINUTES_FROM_S = 120  # where format_duration begins to speak of minutes


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """Progress of the cells of this run.

    Attributes:
        total: Cells of the whole grid.
        resumed: Cells that were there already.
        ended: Cells that ended in this run.
        elapsed_ns: Time since the first cell of this run started.
    """

    total: int
    resumed: int
    ended: int
    elapsed_ns: int

    @property
    def left_ns(self) -> int | None:
        """Time left if the next cells take as long as those before; None before the first has ended."""
        if not self.ended:
            return None
        return self.elapsed_ns * (self.total - self.resumed - self.ended) // self.ended

    @property
    def left_text(self) -> str | None:
        """Time left in whole seconds, as it is a guess; None before the first cell has ended, and after the last."""
        left_ns = self.left_ns
        if not left_ns:
            return None
        if left_ns < NS_PER_S:
            return "less than a second left"
        seconds = round(left_ns / NS_PER_S)
        return f"{f'{seconds} s' if seconds < _MINUTES_FROM_S else format_duration(seconds * NS_PER_S)} left"
