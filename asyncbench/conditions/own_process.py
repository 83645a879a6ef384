"""Own process: its processor time in the window, and what its resident size rises by in a cell."""

from __future__ import annotations

import re
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from asyncbench.conditions.probe import Block, CellWatch, Probe, Span

_PEAK = re.compile(r"^VmHWM:\s+(\d+) kB", re.MULTILINE)
_RESIDENT = re.compile(r"^VmRSS:\s+(\d+) kB", re.MULTILINE)


@asynccontextmanager
async def open_own_process(_device: str) -> AsyncIterator[Probe]:
    """Open the probe of the bench process itself."""
    yield OwnProcess()


class OwnProcess:
    """Probe of this process; holds nothing open."""

    @asynccontextmanager
    async def watch(self) -> AsyncIterator[CellWatch]:
        """Start the peak of the resident size anew, so that it is the cell's own."""
        reset_peak_resident()
        yield _OwnProcessWatch()


class _OwnProcessWatch:
    def __init__(self) -> None:
        self._resident_before_bytes = resident_bytes()
        self._opened_cpu_ns: int | None = None
        self._cpu_ns: int | None = None

    def window_opened(self) -> None:
        self._opened_cpu_ns = cpu_time_ns()

    def window_closed(self) -> None:
        if self._opened_cpu_ns is not None:
            self._cpu_ns = cpu_time_ns() - self._opened_cpu_ns

    def block(self, _window: Span | None) -> Block:
        peak_bytes, before_bytes = peak_resident_bytes(), self._resident_before_bytes
        return Block(
            cpu_ns=self._cpu_ns,
            host_peak_bytes=peak_bytes,
            host_rise_bytes=None if peak_bytes is None or before_bytes is None else peak_bytes - before_bytes,
        )


def cpu_time_ns() -> int:
    """Return user + system time of all threads of this process, those that have ended included."""
    return time.process_time_ns()


def reset_peak_resident() -> bool:
    """Start the peak anew, so that it is a cell's own; False where the kernel does not allow it."""
    try:
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    except OSError:
        return False
    return True


def peak_resident_bytes() -> int | None:
    """Return the highest resident size since the last reset (VmHWM), or None where /proc does not tell."""
    return _status_bytes(_PEAK)


def resident_bytes() -> int | None:
    """Return the resident size (VmRSS), or None where /proc does not tell."""
    return _status_bytes(_RESIDENT)


def _status_bytes(pattern: re.Pattern[str]) -> int | None:
    try:
        match = pattern.search(Path("/proc/self/status").read_text(encoding="ascii"))
    except OSError:
        return None
    return int(match.group(1)) * 1024 if match else None
