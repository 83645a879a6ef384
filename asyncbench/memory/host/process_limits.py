"""Limits of this process, looked up after something was refused, to say which one it was and its number."""

from __future__ import annotations

import os
import resource
from pathlib import Path
from typing import Final

from asyncbench.memory.host.cgroup_path import GroupFolder, find_groups
from asyncbench.memory.host.kernel_file import find_number, line_pattern, only_number, read_once

_KIB: Final = 1 << 10
_DEFAULT_STACK_BYTES: Final = 8 << 20
_EVENTS: Final = line_pattern("max")
_ROOT: Final = Path("/")
# How libraries say that they got no memory, where nobody could turn it into an error of ours.
_NO_MEMORY: Final = (
    "MemoryError",
    "annot allocate memory",
    "Memory allocation still failed",
    "Unable to allocate",
    "bad_alloc",
    "bad allocation",
    "Failed to allocate memory",
    "failed to map segment",  # the loader's words for a library that does not fit into the address space
)


def speaks_of_memory(text: str) -> bool:
    """Return whether the text of an error says that memory was refused."""
    return any(words in text for words in _NO_MEMORY)


def thread_limit_text(root: Path = _ROOT) -> str:
    """Return what keeps this process from starting one more thread, such as `pids.max of the group /few is 24`.

    Args:
        root: `/`, or a fake tree of /proc and the control groups.
    """
    full = next((text for group in find_groups(root, "pids") if (text := _full_group_text(group))), None)
    if full is not None:
        return full
    if _has_no_room_for_a_stack(root):
        return address_space_limit_text() or ""
    processes = _soft_limit(resource.RLIMIT_NPROC)
    if processes is not None and os.geteuid() != 0:  # root is exempt
        return f"ulimit -u is {processes}"
    limit = only_number(read_once(root / "proc/sys/kernel/threads-max"))
    return f"kernel.threads-max is {limit}" if limit is not None else "the kernel does not say why"


def address_space_limit_text() -> str | None:
    """Return `ulimit -v is …`, or None where the address space has no limit."""
    limit_bytes = _soft_limit(resource.RLIMIT_AS)
    return None if limit_bytes is None else f"ulimit -v is {limit_bytes // _KIB} (KiB)"


def open_files_limit_text() -> str:
    """Return `ulimit -n is …`."""
    return f"ulimit -n is {_soft_limit(resource.RLIMIT_NOFILE) or 'unlimited'}"


def cpu_time_limit_text() -> str | None:
    """Return `ulimit -t is … s`, or None where CPU time has no limit; a child has the same."""
    limit_s = _soft_limit(resource.RLIMIT_CPU)
    return None if limit_s is None else f"ulimit -t is {limit_s} s"


def _full_group_text(group: GroupFolder) -> str | None:
    limit = only_number(read_once(group.path / "pids.max"))
    current = only_number(read_once(group.path / "pids.current"))
    refusals = find_number(_EVENTS, read_once(group.path / "pids.events"))
    if limit is None or current is None or (current < limit and not refusals):
        return None
    return f"pids.max of the control group {group.name} is {limit}"


def _has_no_room_for_a_stack(root: Path) -> bool:
    limit_bytes = _soft_limit(resource.RLIMIT_AS)
    fields = read_once(root / "proc/self/statm").split()
    if limit_bytes is None or not fields:
        return False
    used_bytes = int(fields[0]) * os.sysconf("SC_PAGE_SIZE")
    return limit_bytes - used_bytes <= (_soft_limit(resource.RLIMIT_STACK) or _DEFAULT_STACK_BYTES)


def _soft_limit(which: int) -> int | None:
    soft, _ = resource.getrlimit(which)
    return None if soft == resource.RLIM_INFINITY else soft
