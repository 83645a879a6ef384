"""One memory control group: its limit, its usage, the reclaimable part of that, and the kills in it.

Sources: the kernel's Documentation/admin-guide/cgroup-v2.rst (Memory) and cgroup-v1/memory.rst.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from asyncbench.memory.host.cgroup_path import CgroupVersion, GroupFolder
from asyncbench.memory.host.kernel_file import KernelFile, find_number, line_pattern, only_number, read_once

# Version 1 says LONG_MAX rounded down to a page for "no limit"; the page differs between machines.
_NO_LIMIT_BYTES: Final = 1 << 62


@dataclass(frozen=True, slots=True, kw_only=True)
class CgroupReading:
    """Limit and usage of a group that has a limit.

    Attributes:
        reclaimable_bytes: Page cache that the kernel takes back before it kills: see `CgroupMemory.read`.
    """

    limit_bytes: int
    usage_bytes: int
    reclaimable_bytes: int

    @property
    def headroom_bytes(self) -> int:
        """Bytes that can still be allocated without a kill; 0 where the limit was lowered below the usage."""
        # Usage and statistics are two readings: the cache may have grown in between.
        return max(0, self.limit_bytes - max(0, self.usage_bytes - self.reclaimable_bytes))


@dataclass(frozen=True, slots=True, kw_only=True)
class CgroupOomReading:
    """A group's counts of running out of memory.

    Attributes:
        oom_kills: Processes that the kernel's out-of-memory killer ended: in this group (v1), or here and below (v2),
            whoever's shortage it was; None where it does not say.
        limit_hits: Allocations that met the limit (v1, also those that reclaiming then made possible), or that were
            about to fail because of it (v2); None where it does not say.
        peak_bytes: The most that it ever used; None before Linux 5.19 on v2.
    """

    name: str
    oom_kills: int | None
    limit_hits: int | None
    limit_bytes: int | None
    peak_bytes: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Names:
    limits: tuple[str, ...]
    usage: str
    peak: str
    events: str
    hits: str
    hits_count: re.Pattern[str]
    inactive_file: re.Pattern[str]
    active_file: re.Pattern[str]
    mapped_file: re.Pattern[str]


_NAMES: Final = {
    CgroupVersion.V1: _Names(
        limits=("memory.limit_in_bytes",),
        usage="memory.usage_in_bytes",
        peak="memory.max_usage_in_bytes",
        events="memory.oom_control",
        hits="memory.failcnt",
        hits_count=re.compile(r"^(\d+)\n"),
        inactive_file=line_pattern("total_inactive_file"),
        active_file=line_pattern("total_active_file"),
        mapped_file=line_pattern("total_mapped_file"),
    ),
    CgroupVersion.V2: _Names(
        # Above memory.high nothing is killed, but everything in the group is slowed down: no place to measure.
        limits=("memory.max", "memory.high"),
        usage="memory.current",
        peak="memory.peak",
        events="memory.events",
        hits="memory.events",
        hits_count=line_pattern("oom"),
        inactive_file=line_pattern("inactive_file"),
        active_file=line_pattern("active_file"),
        mapped_file=line_pattern("file_mapped"),
    ),
}
_OOM_KILL: Final = line_pattern("oom_kill")


class CgroupMemory:
    """The files of one group, kept open until `close`. A group that is removed reads as one without a limit."""

    def __init__(self, folder: GroupFolder) -> None:
        self.name = folder.name
        self._folder = folder.path
        self._names = _NAMES[folder.version]
        self._limits = [KernelFile(folder.path / name) for name in self._names.limits]
        self._usage = KernelFile(folder.path / self._names.usage)
        self._stat = KernelFile(folder.path / "memory.stat")
        self._events = KernelFile(folder.path / self._names.events)

    def read(self) -> CgroupReading | None:
        """Return limit and usage, or None where the group has no limit or does not tell its usage.

        The kernel counts page cache as usage, and takes it back before it kills. Reclaimable is the cache of files
        (inactive and active) less what is mapped: programs, libraries and mapped weights would have to be read again
        at once. Shared memory (tmpfs) and locked pages are in neither list of files, so they are never counted.
        Kernel caches are left out: they are small. Swap is no headroom: what is swapped out cannot be measured, and
        the limit that version 1 puts on memory and swap together only matters where something is swapped out already.
        """
        limit_bytes = self._read_limit()
        usage_bytes = only_number(self._usage.read()) if limit_bytes is not None else None
        if limit_bytes is None or usage_bytes is None:
            return None
        reclaimable_bytes = _reclaimable_bytes(self._stat.read(), self._names)
        return CgroupReading(limit_bytes=limit_bytes, usage_bytes=usage_bytes, reclaimable_bytes=reclaimable_bytes)

    def read_oom_kills(self) -> int | None:
        """Return how many processes the out-of-memory killer has ended, or None where the group does not count."""
        return find_number(_OOM_KILL, self._events.read())

    def read_oom(self) -> CgroupOomReading:
        """Return all that the group says of running out of memory; opens files, for once per death."""
        return CgroupOomReading(
            name=self.name,
            oom_kills=self.read_oom_kills(),
            limit_hits=find_number(self._names.hits_count, read_once(self._folder / self._names.hits)),
            limit_bytes=self._read_limit(),
            peak_bytes=only_number(read_once(self._folder / self._names.peak)),
        )

    def close(self) -> None:
        """Close the files; again is harmless."""
        for file in (*self._limits, self._usage, self._stat, self._events):
            file.close()

    def _read_limit(self) -> int | None:
        limits = (only_number(file.read()) for file in self._limits)
        return min((limit for limit in limits if limit is not None and limit < _NO_LIMIT_BYTES), default=None)


def _reclaimable_bytes(stat: str, names: _Names) -> int:
    """Return the cache of files that no process has mapped, from the text of memory.stat; 0 where it does not say."""
    inactive, active, mapped = (
        find_number(pattern, stat) or 0 for pattern in (names.inactive_file, names.active_file, names.mapped_file)
    )
    return max(0, inactive + active - mapped)
