"""A budget whose room shrinks with what is really free."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager

import trio

from asyncbench.errors import DoesNotFitError
from asyncbench.memory.budget import BudgetStatistics, Grant, MemoryBudget
from asyncbench.units import format_size


class PressureBudget:
    """Grants what the upstream budget grants once that much is really free, too; see MemoryBudget.

    Free memory that was granted but is not allocated yet belongs to those grants: holders say so by
    `Grant.mark_taken`, and until then their bytes do not count as free. A holder that never says it makes others wait
    longer than they need to, never less.

    Free memory cannot be waited for: it is read again when a grant ends, and when somebody calls `recheck`.

    Args:
        available_bytes: Reads what is free now; None where that is not known, and then only the upstream limit holds.
    """

    def __init__(self, upstream: MemoryBudget, available_bytes: Callable[[], int | None]) -> None:
        self._upstream = upstream
        self._available_bytes = available_bytes
        self._turn = trio.StrictFIFOLock()  # who has it is the first in the queue
        self._room_unknown = trio.lowlevel.ParkingLot()
        self._held: set[Grant] = set()

    def statistics(self) -> BudgetStatistics:
        """Return how the budget is now; what the first in the queue holds upstream is not granted yet."""
        turn = self._turn.statistics()
        return BudgetStatistics(
            limit_bytes=self._upstream.statistics().limit_bytes,
            granted_bytes=sum(grant.size_bytes for grant in self._held),
            waiting=turn.tasks_waiting + turn.locked,
        )

    def recheck(self) -> None:
        """Read again what is free, on behalf of the first in the queue: there may be room for it now."""
        self._room_unknown.unpark_all()

    def require_possible(self, size_bytes: int) -> None:
        """Ask the upstream budget: what is not free now may be free later; see MemoryBudget.require_possible."""
        self._upstream.require_possible(size_bytes)

    @asynccontextmanager
    async def reserve(self, size_bytes: int) -> AsyncIterator[Grant]:
        """Hold `size_bytes`; see MemoryBudget.reserve."""
        self.require_possible(size_bytes)
        async with AsyncExitStack() as stack:
            stack.callback(self.recheck)  # runs last: only then are the bytes back upstream
            async with self._turn:
                grant = await stack.enter_async_context(self._upstream.reserve(size_bytes))
                while size_bytes > self._room_bytes(or_else=size_bytes):
                    await self._room_unknown.park()
                stack.enter_context(self._holding(grant))
            yield grant

    @contextmanager
    def reserve_nowait(self, size_bytes: int) -> Iterator[Grant]:
        """Hold `size_bytes` or refuse; see MemoryBudget.reserve_nowait."""
        self.require_possible(size_bytes)
        room_bytes = 0 if self._turn.locked() else self._room_bytes(or_else=size_bytes)
        if size_bytes > room_bytes:
            raise _refusal(size_bytes, room_bytes)
        try:
            with self._upstream.reserve_nowait(size_bytes) as grant, self._holding(grant):
                yield grant
        finally:
            self.recheck()

    @contextmanager
    def _holding(self, grant: Grant) -> Iterator[None]:
        self._held.add(grant)
        try:
            yield
        finally:
            self._held.remove(grant)

    def _room_bytes(self, *, or_else: int) -> int:
        available_bytes = self._available_bytes()
        if available_bytes is None:
            return or_else
        spoken_for_bytes = sum(grant.size_bytes for grant in self._held if not grant.is_taken)
        return max(0, available_bytes - spoken_for_bytes)


def _refusal(requested_bytes: int, available_bytes: int) -> DoesNotFitError:
    return DoesNotFitError(
        f"{format_size(requested_bytes)} are needed, {format_size(available_bytes)} are free now",
        remedy="end what else uses this memory, or lower --batch or --concurrency",
        requested_bytes=requested_bytes,
        available_bytes=available_bytes,
    )
