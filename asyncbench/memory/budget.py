"""What a budget of memory promises, and what it grants."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from dataclasses import dataclass
from typing import Protocol


class Grant:
    """Bytes that may be used until the reservation ends. On the Trio thread only, as its budget.

    Args:
        give_back: Told how many bytes are no longer needed, each time that some are not.
    """

    def __init__(self, size_bytes: int, *, give_back: Callable[[int], None]) -> None:
        self._size_bytes = size_bytes
        self._give_back = give_back

    @property
    def size_bytes(self) -> int:
        """What may be used now; 0 after the end of the reservation."""
        return self._size_bytes

    def shrink(self, to_bytes: int) -> None:
        """Give back all but `to_bytes`, which turned out to be enough.

        Raises:
            ValueError: That is more than the grant has, or negative: grants never grow, ask once for the whole cell.
        """
        if not 0 <= to_bytes <= self._size_bytes:
            raise ValueError(f"a grant of {self._size_bytes} B cannot shrink to {to_bytes} B")
        freed_bytes, self._size_bytes = self._size_bytes - to_bytes, to_bytes
        self._give_back(freed_bytes)


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetStatistics:
    """How a budget is.

    Attributes:
        limit_bytes: The most that is granted at once; None where no limit is known.
        granted_bytes: What is granted now.
        waiting: Reservations that wait for room.
    """

    limit_bytes: int | None
    granted_bytes: int
    waiting: int


class MemoryBudget(Protocol):
    """Grants bytes for the length of a `with`. On the Trio thread only.

    Who reserves while holding a reservation of the same budget will one day wait for himself: ask once, for all.
    """

    def statistics(self) -> BudgetStatistics:
        """Return how the budget is now."""

    def require_possible(self, size_bytes: int) -> None:
        """Check that `size_bytes` could be granted if nobody else held anything.

        Raises:
            DoesNotFitError: It is above the limit. Facts: requested_bytes, available_bytes.
            ValueError: It is negative.
        """

    def reserve(self, size_bytes: int) -> AbstractAsyncContextManager[Grant]:
        """Wait for room, in the order of the calls, and hold `size_bytes` for the length of the `async with`.

        A large reservation is never overtaken by small ones behind it. One that is cancelled while it waits holds
        nothing, and lets the next one through.

        Raises:
            DoesNotFitError: It can never fit; at once, before any waiting.
        """

    def reserve_nowait(self, size_bytes: int) -> AbstractContextManager[Grant]:
        """Hold `size_bytes` for the length of the `with`.

        Raises:
            DoesNotFitError: There is no room now, or what room there is belongs to those who wait.
        """
