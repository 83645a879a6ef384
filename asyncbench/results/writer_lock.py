"""Lock that a results file is written under, and the process that holds it."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from asyncbench.errors import BadInputError


def lock_for_writing(fd: int, path: Path) -> None:
    """Lock an open file against all other sweeps; the kernel gives the lock back with the last descriptor.

    Raises:
        BadInputError: Another sweep is writing it, or its file system has no locks.
    """
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise being_written(fd, path) from error
    except OSError as error:
        remedy = "give an --output on a file system with locks"
        raise BadInputError(f"{path}: cannot be locked ({error.strerror})", remedy=remedy) from error


def being_written(fd: int, path: Path) -> BadInputError:
    """Return the error for a file that another sweep holds."""
    pid = _holder_of(fd)
    who = f" (process {pid})" if pid else ""
    remedy = "wait until it has ended, or give another --output"
    return BadInputError(f"{path}: another sweep is writing it{who}", remedy=remedy)


def _holder_of(fd: int) -> int | None:
    """Return the process that holds the lock, where the kernel tells; processes outside of a container have no number.

    A line of /proc/locks: `1: FLOCK  ADVISORY  WRITE 4711 fe:01:131074 0 EOF`. The device is not compared: that of
    stacked file systems differs from what stat says.
    """
    inode = str(os.fstat(fd).st_ino)
    try:
        lines = Path("/proc/locks").read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    fields = [line.split() for line in lines]
    pids = {one[4] for one in fields if one[1] == "FLOCK" and one[5].rpartition(":")[2] == inode}
    pid = pids.pop() if len(pids) == 1 else ""
    return int(pid) if pid.isdecimal() and pid != "0" else None
