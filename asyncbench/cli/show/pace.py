"""How far a sweep is, and how long it still takes."""

from __future__ import annotations

from dataclasses import dataclass


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
