"""Forecast of memory on the device and on the host."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class MemoryForecast:
    """Memory that a cell is expected to take on top of what the open engine takes already.

    Attributes:
        device_bytes: On the GPU; 0 where there is none.
        host_bytes: On the host, pinned memory included.
    """

    device_bytes: int
    host_bytes: int
