"""Memory that a test decides over: the host's, headrooms as they are told, and somebody else on a simulated device."""

from __future__ import annotations

import trio

from asyncbench.backends.simulated.backend import SimulatedEngine
from asyncbench.bench.memory.admission_controller import Headroom
from asyncbench.memory.available import LimitedBy
from asyncbench.memory.host.probe import SYSTEM, HostReading


def host_reading(available_bytes: int = 1 << 40, *, limit_bytes: int | None = None) -> HostReading:
    """Return a host with so much memory to take; by default more than any cell needs."""
    return HostReading(available_bytes=available_bytes, limit_bytes=limit_bytes, limited_by=SYSTEM)


class ScriptedHeadrooms:
    """Headrooms of host and device for a governor, which are what the test sets.

    Args:
        reserve_bytes: What is to stay free of each; the governor keeps half of it.
    """

    def __init__(self, *, free_bytes: int, reserve_bytes: int) -> None:
        self.device_bytes = free_bytes
        self.host_bytes = free_bytes
        self._reserve_bytes = reserve_bytes

    async def read(self) -> list[Headroom]:
        """Return both; see `AdmissionController.headrooms`."""
        await trio.lowlevel.checkpoint()
        free_bytes = {LimitedBy.HOST: self.host_bytes, LimitedBy.DEVICE: self.device_bytes}
        return [
            Headroom(limited_by=memory, free_bytes=free, reserve_bytes=self._reserve_bytes)
            for memory, free in free_bytes.items()
        ]


class MemoryHog:
    """Somebody else who holds memory of a simulated device."""

    def __init__(self, engine: SimulatedEngine) -> None:
        self._device = engine.device
        self._held_bytes = 0

    def leave(self, left_bytes: int) -> None:
        """Hold all that is free but so much, or give so much back."""
        self._held_bytes += self._device.free_bytes - left_bytes
        self._device.free_bytes = left_bytes

    def let_go(self) -> None:
        """Hold nothing."""
        self._device.free_bytes += self._held_bytes
        self._held_bytes = 0
