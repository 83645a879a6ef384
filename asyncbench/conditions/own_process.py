"""What this process itself uses: processor time, and the peak of its resident memory."""

from __future__ import annotations

import re
import time
from pathlib import Path

_PEAK = re.compile(r"^VmHWM:\s+(\d+) kB", re.MULTILINE)
_RESIDENT = re.compile(r"^VmRSS:\s+(\d+) kB", re.MULTILINE)


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
