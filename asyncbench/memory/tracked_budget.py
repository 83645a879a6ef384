"""A budget that remembers the most that was held of it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

from asyncbench.memory.budget import BudgetStatistics, Grant, MemoryBudget


class TrackedBudget:
    """Passes everything on, and knows the peak of what was held through it; see MemoryBudget."""

    def __init__(self, upstream: MemoryBudget) -> None:
        self._upstream = upstream
        self._held: set[Grant] = set()
        self._peak_bytes = 0

    @property
    def peak_bytes(self) -> int:
        """The most that was held at once through this budget; it stays when grants end or shrink."""
        return self._peak_bytes

    def statistics(self) -> BudgetStatistics:
        """Return how the upstream budget is now."""
        return self._upstream.statistics()

    def require_possible(self, size_bytes: int) -> None:
        """Ask the upstream budget; see MemoryBudget.require_possible."""
        self._upstream.require_possible(size_bytes)

    @asynccontextmanager
    async def reserve(self, size_bytes: int) -> AsyncIterator[Grant]:
        """Hold `size_bytes`; see MemoryBudget.reserve."""
        async with self._upstream.reserve(size_bytes) as grant:
            with self._tracked(grant):
                yield grant

    @contextmanager
    def reserve_nowait(self, size_bytes: int) -> Iterator[Grant]:
        """Hold `size_bytes` or refuse; see MemoryBudget.reserve_nowait."""
        with self._upstream.reserve_nowait(size_bytes) as grant, self._tracked(grant):
            yield grant

    @contextmanager
    def _tracked(self, grant: Grant) -> Iterator[None]:
        self._held.add(grant)
        # What is held rises here only, so that the peak is reached here.
        self._peak_bytes = max(self._peak_bytes, sum(held.size_bytes for held in self._held))
        try:
            yield
        finally:
            self._held.remove(grant)
