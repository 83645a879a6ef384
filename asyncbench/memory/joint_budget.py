"""One reservation over the device's memory and the host's."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

import trio

from asyncbench.memory.budget import Grant, MemoryBudget
from asyncbench.memory.forecast import MemoryForecast

SizeOf = Callable[[MemoryForecast], int]


@dataclass(frozen=True, slots=True, kw_only=True)
class JointGrant:
    """What was granted of every memory, in the order in which it was reserved."""

    parts: tuple[tuple[SizeOf, Grant], ...]

    def shrink(self, to: MemoryForecast) -> None:
        """Give back all but what `to` needs, of every memory that has more; grants never grow."""
        for size_of, grant in self.parts:
            grant.shrink(min(size_of(to), grant.size_bytes))


class JointBudget:
    """Reserves a whole MemoryForecast: all of it or nothing, in the order of the calls.

    Every reservation takes the memories in one order, and one reservation at a time is on its way to them: two that
    each hold what the other one waits for cannot come to be.
    """

    def __init__(self, *parts: tuple[SizeOf, MemoryBudget]) -> None:
        self._parts = parts
        self._turn = trio.StrictFIFOLock()

    @classmethod
    def separate(cls, *, device: MemoryBudget, host: MemoryBudget) -> JointBudget:
        """Return a budget over a device with memory of its own."""
        return cls((_device_bytes, device), (_host_bytes, host))

    @classmethod
    def pooled(cls, pool: MemoryBudget) -> JointBudget:
        """Return a budget over a device that uses the host's memory, such as a Jetson: one reservation of the sum."""
        return cls((_sum_bytes, pool))

    @asynccontextmanager
    async def reserve(self, need: MemoryForecast) -> AsyncIterator[JointGrant]:
        """Hold what `need` says; see MemoryBudget.reserve.

        Raises:
            DoesNotFitError: It can never fit into one of the memories; at once.
        """
        for size_of, budget in self._parts:
            budget.require_possible(size_of(need))
        async with AsyncExitStack() as stack:
            async with self._turn:
                grants = [
                    (size_of, await stack.enter_async_context(budget.reserve(size_of(need))))
                    for size_of, budget in self._parts
                ]
            yield JointGrant(parts=tuple(grants))


def _device_bytes(need: MemoryForecast) -> int:
    return need.device_bytes


def _host_bytes(need: MemoryForecast) -> int:
    return need.host_bytes


def _sum_bytes(need: MemoryForecast) -> int:
    return need.device_bytes + need.host_bytes
