"""Processor time that the control groups of this process allow, and that they withheld.

Sources: the kernel's Documentation/admin-guide/cgroup-v2.rst (CPU) and scheduler/sched-bwc.rst.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from asyncbench.clock import NS_PER_US
from asyncbench.memory.host.cgroup_path import CgroupVersion, GroupFolder, find_cpu_groups
from asyncbench.memory.host.kernel_file import KernelFile, find_number, line_pattern, only_number, read_once
from asyncbench.results.cell_parts import CpuThrottling

_PERIODS: Final = line_pattern("nr_periods")
_THROTTLED_PERIODS: Final = line_pattern("nr_throttled")
_THROTTLED_NS: Final = line_pattern("throttled_time")  # version 1
_THROTTLED_US: Final = line_pattern("throttled_usec")  # version 2
_FIELDS = 2


@dataclass(frozen=True, slots=True)
class ThrottleCounts:
    """Counters of a group since it was made."""

    periods: int
    throttled_periods: int
    throttled_ns: int


class CpuQuota:
    """The groups of this process that have a CPU quota, kept open until `close`.

    A quota that is given or taken away later is not seen.
    """

    def __init__(self, root: Path = Path("/")) -> None:
        quotas = [(folder, quota_of(folder)) for folder in find_cpu_groups(root)]
        self._groups = [(quota, KernelFile(folder.path / "cpu.stat")) for folder, quota in quotas if quota is not None]

    @property
    def cpus(self) -> float | None:
        """The smallest quota from the own group up; None where there is none."""
        return min((quota for quota, _ in self._groups), default=None)

    def read(self) -> Sequence[ThrottleCounts]:
        """Return what each of the groups has counted so far."""
        return [_counts(file.read()) for _, file in self._groups]

    def throttling_since(self, before: Sequence[ThrottleCounts]) -> CpuThrottling | None:
        """Return what was withheld since a reading, by the group that withheld most; None where none has a quota."""
        since = [
            CpuThrottling(
                quota_cpus=quota,
                periods=max(0, now.periods - was.periods),
                throttled_periods=max(0, now.throttled_periods - was.throttled_periods),
                throttled_ns=max(0, now.throttled_ns - was.throttled_ns),
            )
            for (quota, _), was, now in zip(self._groups, before, self.read(), strict=True)
        ]
        return max(since, key=lambda group: (group.throttled_ns, -group.quota_cpus), default=None)

    def close(self) -> None:
        """Close the files; again is harmless."""
        for _, file in self._groups:
            file.close()


def cpu_quota(root: Path = Path("/")) -> float | None:
    """Return how many processors' worth of time this process may use; None where no group of it has a quota."""
    with closing(CpuQuota(root)) as quota:
        return quota.cpus


def quota_of(folder: GroupFolder) -> float | None:
    """Return the quota of one group in processors; None where it has none."""
    if folder.version is CgroupVersion.V2:
        fields = read_once(folder.path / "cpu.max").split()
        quota_us, period_us = map(only_number, fields) if len(fields) == _FIELDS else (None, None)
    else:
        # -1 is no limit, and no number here.
        quota_us, period_us = (
            only_number(read_once(folder.path / name)) for name in ("cpu.cfs_quota_us", "cpu.cfs_period_us")
        )
    return quota_us / period_us if quota_us and period_us else None


def _counts(stat: str) -> ThrottleCounts:
    throttled_us = find_number(_THROTTLED_US, stat)
    throttled_ns = find_number(_THROTTLED_NS, stat) if throttled_us is None else throttled_us * NS_PER_US
    return ThrottleCounts(
        find_number(_PERIODS, stat) or 0, find_number(_THROTTLED_PERIODS, stat) or 0, throttled_ns or 0
    )
