"""Recorder of a load's completions: all of them, whole, for a test to look at."""

from __future__ import annotations

from asyncbench.clock import NS_PER_S
from asyncbench.measurement.stamps import Completions


class SeenCompletions:
    """Recorder of completions for a load: pass it as `record`.

    Attributes:
        stamps: By source, `(issued_at_ns, completed_at_ns)` of each inference in the order in which it was recorded.
    """

    def __init__(self) -> None:
        self.stamps: dict[int, list[tuple[int, int]]] = {}

    def __call__(self, done: Completions, source: int) -> None:
        """Keep them: the arrays may be reused afterwards."""
        pairs = zip(done.issued_at_ns.tolist(), done.completed_at_ns.tolist(), strict=True)
        self.stamps.setdefault(source, []).extend(pairs)

    @property
    def all(self) -> list[tuple[int, int]]:
        """The stamps of all sources, sorted by issue."""
        return sorted(pair for pairs in self.stamps.values() for pair in pairs)

    @property
    def n(self) -> int:
        """The number of inferences."""
        return sum(map(len, self.stamps.values()))

    def issued_between(self, start_s: float, end_s: float) -> int:
        """Return how many inferences were issued in a stretch of Trio's clock."""
        return sum(start_s * NS_PER_S <= issued_at_ns < end_s * NS_PER_S for issued_at_ns, _ in self.all)
