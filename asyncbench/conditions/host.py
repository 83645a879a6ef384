"""Facts of the host for the header of a results file. The host's name is left out on purpose: records are shared."""

from __future__ import annotations

import os
import platform
from pathlib import Path

from asyncbench.errors import Fact
from asyncbench.memory.host.cpu_quota import cpu_quota
from asyncbench.units import format_number

_NAME_KEYS = frozenset({"model name", "Model"})  # most processors; Arm boards


def host_facts() -> dict[str, Fact]:
    """Return the facts that a reader needs to compare two files."""
    return {
        "cpu_name": cpu_name(),
        "logical_cpus": os.cpu_count(),
        "cpus_allowed": cpus_allowed(),
        "cpu_quota": cpu_quota(),
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "kernel": platform.release(),
        "platform": platform.platform(terse=True),
        "machine": platform.machine(),
    }


def cpus_allowed() -> int:
    """Return how many processors this process may use: fewer than the machine has under taskset or in a cpuset."""
    return len(os.sched_getaffinity(0))


def cpus_text() -> str:
    """Return `2 processors allowed`, and what a CPU quota leaves of them where it is less."""
    allowed, quota = cpus_allowed(), cpu_quota()
    if quota is not None and quota < allowed:
        return f"{format_number(quota)} of {allowed} processors: the control group allows no more"
    return f"{allowed} {'processor' if allowed == 1 else 'processors'} allowed"


def cpu_name() -> str:
    """Return the processor's name as the kernel knows it, such as `AMD EPYC`; the architecture where it knows none."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.machine()
    fields = (line.partition(":") for line in lines)
    return next((value.strip() for key, _, value in fields if key.strip() in _NAME_KEYS), platform.machine())
