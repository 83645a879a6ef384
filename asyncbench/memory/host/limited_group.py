"""A memory control group made for a while, to see what happens when memory is short."""

from __future__ import annotations

import errno
import os
import secrets
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Final

from asyncbench.clock import NS_PER_S, now_ns
from asyncbench.errors import AsyncbenchError, BackendUnavailableError
from asyncbench.memory.host.cgroup import CgroupMemory, CgroupOomReading, CgroupReading
from asyncbench.memory.host.cgroup_path import CgroupVersion, GroupFolder, find_memory_top

_REMEDY: Final = "run it as root where control groups can be made (not in an unprivileged container)"
_REMOVE_LIMIT_NS: Final = 10 * NS_PER_S  # guess: a killed process needs this long to give gigabytes back
_POLL_S: Final = 0.01
_ENTER: Final = 'echo $$ > "$0" && exec "$@"'
_LIMIT_FILE: Final = {CgroupVersion.V1: "memory.limit_in_bytes", CgroupVersion.V2: "memory.max"}
_NO_SWAP: Final = {CgroupVersion.V1: "memory.swappiness", CgroupVersion.V2: "memory.swap.max"}


class LimitedGroup:
    """A group that exists until `open_limited_group` ends. Its calls may block for as long as the kernel reclaims."""

    def __init__(self, folder: GroupFolder) -> None:
        self.folder = folder

    def wrap(self, command: Sequence[str]) -> list[str]:
        """Return a command that enters the group and then becomes `command`: all its memory counts, with one pid.

        Where the group is gone by then, it ends with exit code 2 instead of running without a limit.
        """
        return ["/bin/sh", "-c", _ENTER, str(self.folder.path / "cgroup.procs"), *command]

    def set_limit(self, limit_bytes: int) -> bool:
        """Change the limit; return False where the kernel kept the old one, for it could not reclaim enough (v1).

        On version 2 the kernel takes every limit, and kills in the group until it is kept.
        """
        try:
            _write(self.folder.path / _LIMIT_FILE[self.folder.version], str(limit_bytes))
        except OSError as error:
            if error.errno != errno.EBUSY:
                raise
            return False
        return True

    def read(self) -> CgroupReading | None:
        """Return limit and usage."""
        with closing(CgroupMemory(self.folder)) as memory:
            return memory.read()

    def read_oom(self) -> CgroupOomReading:
        """Return what was killed in the group, and the peak of its usage."""
        with closing(CgroupMemory(self.folder)) as memory:
            return memory.read_oom()

    def kill_all(self) -> None:
        """Send SIGKILL to everything inside, what it forks meanwhile included; returns when nothing is left.

        Raises:
            AsyncbenchError: Something does not end.
        """
        deadline_ns = now_ns() + _REMOVE_LIMIT_NS
        while pids := self._pids():
            for pid in pids:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            self._wait_a_little(deadline_ns, f"processes {pids} do not end")

    def remove(self) -> None:
        """End everything inside and remove the group.

        Raises:
            AsyncbenchError: The kernel does not let go of it.
        """
        deadline_ns = now_ns() + _REMOVE_LIMIT_NS
        while True:
            self.kill_all()
            try:
                self.folder.path.rmdir()
            except FileNotFoundError:
                return
            except OSError as error:
                # Right after its last process is gone the kernel may still call it busy.
                if error.errno != errno.EBUSY:
                    raise
                self._wait_a_little(deadline_ns, "the kernel calls it busy")
            else:
                return

    def _pids(self) -> list[int]:
        try:
            pids = map(int, (self.folder.path / "cgroup.procs").read_text(encoding="ascii").split())
        except (FileNotFoundError, NotADirectoryError):
            return []
        # A process of another pid namespace shows as 0, and signal 9 to 0 would end ourselves.
        return [pid for pid in pids if pid > 0]

    def _wait_a_little(self, deadline_ns: int, reason: str) -> None:
        if now_ns() > deadline_ns:
            raise AsyncbenchError(f"{self.folder.path}: cannot be removed ({reason})", remedy="remove it with rmdir")
        time.sleep(_POLL_S)


@contextmanager
def open_limited_group(
    *, limit_bytes: int, parent: GroupFolder | None = None, root: Path = Path("/")
) -> Iterator[LimitedGroup]:
    """Make a group with a limit and no swap; at the end kill what is inside and remove it, whatever happened.

    Args:
        limit_bytes: Rounded down to a page by the kernel.
        parent: Where to make it; the group at the mount point by default, so that a limit of our own group does not
            count. On version 2 no process may be in it, except at the top of the machine.

    Raises:
        BackendUnavailableError: Groups cannot be made here; the message says why.
        AsyncbenchError: It cannot be removed.
    """
    folder = _make(parent or find_memory_top(root))
    group = LimitedGroup(folder)
    try:
        _limit(group, limit_bytes)
        yield group
    finally:
        group.remove()


def _make(parent: GroupFolder | None) -> GroupFolder:
    if parent is None:
        raise BackendUnavailableError("no memory control groups are mounted", remedy=_REMEDY)
    name = f"asyncbench-{os.getpid()}-{secrets.token_hex(4)}"
    folder = GroupFolder(version=parent.version, name=f"{parent.name.rstrip('/')}/{name}", path=parent.path / name)
    try:
        if parent.version is CgroupVersion.V2:
            _give_memory_controller(parent.path)
        folder.path.mkdir()
    except OSError as error:
        raise _unavailable(parent.path, error) from error
    return folder


def _give_memory_controller(parent: Path) -> None:
    """Let groups below `parent` limit memory; where they may already, nothing is written."""
    control = parent / "cgroup.subtree_control"
    if "memory" not in control.read_text(encoding="ascii").split():
        _write(control, "+memory")


def _limit(group: LimitedGroup, limit_bytes: int) -> None:
    try:
        group.set_limit(limit_bytes)
        # Only where the machine has swap: without this it would grow slow instead of running out.
        with suppress(FileNotFoundError):
            _write(group.folder.path / _NO_SWAP[group.folder.version], "0")
    except OSError as error:
        raise _unavailable(group.folder.path, error) from error


def _unavailable(path: Path, error: OSError) -> BackendUnavailableError:
    return BackendUnavailableError(
        f"{path}: no memory control group can be made ({error.strerror})", remedy=_REMEDY, errno=error.errno
    )


def _write(path: Path, text: str) -> None:
    # Never create: in a folder that is no control group this must fail.
    fd = os.open(path, os.O_WRONLY)
    try:
        os.write(fd, text.encode("ascii"))
    finally:
        os.close(fd)
