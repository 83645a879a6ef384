"""Host memory that this process can still take, and the kernel's count of kills."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from asyncbench.errors import BackendUnavailableError
from asyncbench.memory.host.cgroup import CgroupMemory, CgroupOomReading
from asyncbench.memory.host.cgroup_path import find_memory_groups
from asyncbench.memory.host.kernel_file import KernelFile, find_number, line_pattern

SYSTEM: Final = "system"
_AVAILABLE: Final = line_pattern("MemAvailable")  # page cache that can be dropped included
_OOM_KILL: Final = line_pattern("oom_kill")
_KIB: Final = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class HostReading:
    """The host's memory as far as this process may use it, at one instant.

    Attributes:
        available_bytes: The least of MemAvailable and of the headroom of the own group and all its parents.
        limit_bytes: The limit of the group that `limited_by` names; None where that is the system.
        limited_by: What gave the least: `system`, or `cgroup /path`.
    """

    available_bytes: int
    limit_bytes: int | None
    limited_by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OomCount:
    """Kills of the kernel's out-of-memory killer so far; the difference of two counts is what it did in between.

    Attributes:
        oom_kills: Processes that it ended, of the group or of the machine; None where neither is counted.
        of_own_group: Counted for the own group, not for the whole machine.
        groups: The own group first, then its parents.
    """

    oom_kills: int | None
    of_own_group: bool
    groups: tuple[CgroupOomReading, ...]


class HostMemory:
    """Reader of the host's memory. It keeps its files open: use `contextlib.closing`.

    The groups are looked up once, when it is made: a process that is moved to another group makes another one.

    Args:
        root: `/`, or a fake tree for tests.
    """

    def __init__(self, root: Path = Path("/")) -> None:
        self._meminfo_path = root / "proc/meminfo"
        with ExitStack() as files:
            self._meminfo = KernelFile(self._meminfo_path)  # of the whole machine, in a container too
            files.callback(self._meminfo.close)
            self._groups = [CgroupMemory(folder) for folder in find_memory_groups(root)]
            for group in self._groups:
                files.callback(group.close)
            self._vmstat = KernelFile(root / "proc/vmstat")
            files.callback(self._vmstat.close)
            self._files = files.pop_all()

    def read(self) -> HostReading:
        """Return what can be had now. Cheap enough for ten times a second, on any thread.

        Raises:
            BackendUnavailableError: /proc/meminfo does not have it.
        """
        available_bytes, limited_by, limit_bytes = self._read_available_bytes(), SYSTEM, None
        for group in self._groups:
            reading = group.read()
            if reading is not None and reading.headroom_bytes < available_bytes:
                available_bytes, limited_by = reading.headroom_bytes, f"cgroup {group.name}"
                limit_bytes = reading.limit_bytes
        return HostReading(available_bytes=available_bytes, limit_bytes=limit_bytes, limited_by=limited_by)

    def read_oom(self) -> OomCount:
        """Return what was killed so far, for `classify_death`: read it before a process starts and after it ended."""
        oom_kills, of_own_group = self._read_oom_kills()
        groups = tuple(group.read_oom() for group in self._groups)
        return OomCount(oom_kills=oom_kills, of_own_group=of_own_group, groups=groups)

    def close(self) -> None:
        """Close all files; again is harmless."""
        self._files.close()

    def _read_oom_kills(self) -> tuple[int | None, bool]:
        for group in self._groups:
            # The first that counts: on version 2 the own group may have no memory controller, its parents count for it.
            oom_kills = group.read_oom_kills()
            if oom_kills is not None:
                return oom_kills, True
        return find_number(_OOM_KILL, self._vmstat.read()), False

    def _read_available_bytes(self) -> int:
        available_kib = find_number(_AVAILABLE, self._meminfo.read())
        if available_kib is None:
            raise BackendUnavailableError(
                f"{self._meminfo_path} has no MemAvailable", remedy="run it on Linux with /proc mounted"
            )
        return available_kib * _KIB
