"""The machine's memory as /proc/meminfo tells it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from asyncbench.errors import BackendUnavailableError
from asyncbench.memory.host.kernel_file import KernelFile, find_number, line_pattern

_AVAILABLE: Final = line_pattern("MemAvailable")
_TOTAL: Final = line_pattern("MemTotal")
_KIB: Final = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class SystemMemory:
    """The machine's memory.

    Attributes:
        available_bytes: MemAvailable: what can be had without swapping, page cache that can be dropped included.
    """

    available_bytes: int
    total_bytes: int


class MemInfo:
    """/proc/meminfo, kept open until `close`. In a container it still shows the whole machine."""

    def __init__(self, root: Path) -> None:
        self._path = root / "proc/meminfo"
        self._file = KernelFile(self._path)

    def read(self) -> SystemMemory:
        """Return what is there and what is available now.

        Raises:
            BackendUnavailableError: The kernel does not say.
        """
        text = self._file.read()
        available_kib, total_kib = find_number(_AVAILABLE, text), find_number(_TOTAL, text)
        if available_kib is None or total_kib is None:
            raise BackendUnavailableError(
                f"{self._path} tells no MemAvailable", remedy="run it on Linux with /proc mounted"
            )
        return SystemMemory(available_bytes=available_kib * _KIB, total_bytes=total_kib * _KIB)

    def close(self) -> None:
        """Close the file; again is harmless."""
        self._file.close()
