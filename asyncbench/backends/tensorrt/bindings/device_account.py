"""Account of the device memory that this process has allocated, against what it may."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

from asyncbench.errors import DoesNotFitError
from asyncbench.units import format_size


class DeviceAccount:
    """Bytes by address, exact, against an optional limit. Any thread may call it.

    It knows what was allocated through it: not the CUDA context, loaded modules and graphs.

    Args:
        limit_bytes: `--memory-budget`; None for as much as there is.
    """

    def __init__(self, limit_bytes: int | None = None) -> None:
        self.limit_bytes = limit_bytes
        self._lock = Lock()
        self._held_bytes = 0
        self._size_of: dict[int, int] = {}

    @property
    def held_bytes(self) -> int:
        """All that was charged and not returned."""
        return self._held_bytes

    @contextmanager
    def unlimited(self) -> Iterator[None]:
        """Lift the limit for a moment; what is charged meanwhile stays counted."""
        limit_bytes, self.limit_bytes = self.limit_bytes, None
        try:
            yield
        finally:
            self.limit_bytes = limit_bytes

    def charge(self, size_bytes: int) -> None:
        """Take bytes, before they are allocated: `commit` or `cancel` follows.

        Raises:
            DoesNotFitError: The limit would be passed; nothing was taken.
        """
        with self._lock:
            left_bytes = None if self.limit_bytes is None else self.limit_bytes - self._held_bytes
            if left_bytes is not None and size_bytes > left_bytes:
                raise DoesNotFitError(
                    f"{format_size(size_bytes)} were asked for, {format_size(max(0, left_bytes))} of the device "
                    f"memory budget of {format_size(self.limit_bytes or 0)} are left",
                    remedy="raise --memory-budget, or lower --batch or --concurrency",
                    requested_bytes=size_bytes,
                    available_bytes=max(0, left_bytes),
                )
            self._held_bytes += size_bytes

    def commit(self, address: int, size_bytes: int) -> None:
        """Remember where the charged bytes are."""
        with self._lock:
            self._size_of[address] = size_bytes

    def cancel(self, size_bytes: int) -> None:
        """Return charged bytes that were not allocated."""
        with self._lock:
            self._held_bytes -= size_bytes

    def release(self, address: int) -> None:
        """Return what was committed at an address."""
        with self._lock:
            self._held_bytes -= self._size_of.pop(address)
