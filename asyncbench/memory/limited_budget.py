"""A fixed number of bytes, granted strictly in order."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field

import trio

from asyncbench.errors import DoesNotFitError
from asyncbench.memory.budget import BudgetStatistics, Grant
from asyncbench.units import format_size


@dataclass(slots=True, kw_only=True, eq=False)
class _Waiter:
    """A reservation on its way to a grant. Bytes are charged for it in the instant in which `served` is set."""

    size_bytes: int
    served: trio.Event = field(default_factory=trio.Event)


class LimitedBudget:
    """Grants at most `limit_bytes` at once; see MemoryBudget. Where the limit is None it only counts.

    The first in the queue waits until there is room for all of it, and everybody else waits behind: so a large
    reservation gets its turn after at most those that were there before it.

    Args:
        name: What the bytes are of, for messages: `device`, `host`.
        flag: The option that sets the limit, such as `--memory-budget`.
    """

    def __init__(self, limit_bytes: int | None, *, name: str, flag: str) -> None:
        self._limit_bytes = limit_bytes
        self._name = name
        self._flag = flag
        self._granted_bytes = 0
        self._queue: deque[_Waiter] = deque()

    def statistics(self) -> BudgetStatistics:
        """Return how the budget is now."""
        return BudgetStatistics(
            limit_bytes=self._limit_bytes, granted_bytes=self._granted_bytes, waiting=len(self._queue)
        )

    def require_possible(self, size_bytes: int) -> None:
        """Check a size against the limit; see MemoryBudget.require_possible."""
        if size_bytes < 0:
            raise ValueError(f"{size_bytes} B cannot be reserved")
        if self._limit_bytes is not None and size_bytes > self._limit_bytes:
            raise self._refusal(size_bytes, self._limit_bytes, "allows")

    @asynccontextmanager
    async def reserve(self, size_bytes: int) -> AsyncIterator[Grant]:
        """Hold `size_bytes`; see MemoryBudget.reserve."""
        self.require_possible(size_bytes)
        await self._wait_served(size_bytes)
        with self._charged(size_bytes) as grant:
            yield grant

    @contextmanager
    def reserve_nowait(self, size_bytes: int) -> Iterator[Grant]:
        """Hold `size_bytes` or refuse; see MemoryBudget.reserve_nowait."""
        self.require_possible(size_bytes)
        if self._queue or not self._has_room(size_bytes):
            left_bytes = 0 if self._queue else (self._limit_bytes or 0) - self._granted_bytes
            raise self._refusal(size_bytes, left_bytes, "has left")
        self._granted_bytes += size_bytes
        with self._charged(size_bytes) as grant:
            yield grant

    @contextmanager
    def _charged(self, size_bytes: int) -> Iterator[Grant]:
        grant = Grant(size_bytes, give_back=self._give_back)
        try:
            yield grant
        finally:
            grant.shrink(0)

    async def _wait_served(self, size_bytes: int) -> None:
        waiter = _Waiter(size_bytes=size_bytes)
        self._queue.append(waiter)  # before any await: the order of the calls is the order of the grants
        self._serve()
        try:
            await waiter.served.wait()
        except BaseException:
            self._withdraw(waiter)
            raise

    def _withdraw(self, waiter: _Waiter) -> None:
        if waiter.served.is_set():  # room at once, and cancelled at the checkpoint that follows
            self._give_back(waiter.size_bytes)
        else:
            self._queue.remove(waiter)
            self._serve()

    def _give_back(self, size_bytes: int) -> None:
        self._granted_bytes -= size_bytes
        self._serve()

    def _serve(self) -> None:
        while self._queue and self._has_room(self._queue[0].size_bytes):
            waiter = self._queue.popleft()
            self._granted_bytes += waiter.size_bytes
            waiter.served.set()

    def _has_room(self, size_bytes: int) -> bool:
        return self._limit_bytes is None or self._granted_bytes + size_bytes <= self._limit_bytes

    def _refusal(self, requested_bytes: int, available_bytes: int, verb: str) -> DoesNotFitError:
        return DoesNotFitError(
            f"{format_size(requested_bytes)} are needed, the {self._name} budget {verb} {format_size(available_bytes)}",
            remedy=f"lower --batch or --concurrency, or raise {self._flag}",
            requested_bytes=requested_bytes,
            available_bytes=available_bytes,
        )
