"""The one clock: CLOCK_MONOTONIC in integer nanoseconds, the same that the native pump stamps with."""

from __future__ import annotations

import time

NS_PER_S = 1_000_000_000
NS_PER_MS = 1_000_000
NS_PER_US = 1_000

now_ns = time.monotonic_ns


def suspended_ns() -> int:
    """Return for how long the machine has been suspended since it was started: our clock stands still meanwhile."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) - time.clock_gettime_ns(time.CLOCK_MONOTONIC)


def utc_now_text() -> str:
    """Return the wall-clock time as `2026-01-31T12:00:00Z`, for people and file headers only."""
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def utc_file_text() -> str:
    """Return the wall-clock time as `20260131-120000`, for file names."""
    return time.strftime("%Y%m%d-%H%M%S", time.gmtime())
