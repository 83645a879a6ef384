"""A results file on disk: one line per record, each whole and synced before the next, or not there at all."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from pydantic import JsonValue

from asyncbench.errors import BadInputError, OutputError
from asyncbench.results.lines import encode_line, write_line
from asyncbench.results.new_path import in_the_way, refuse_unusable
from asyncbench.results.reader import ResultsRead, read_results
from asyncbench.results.record import Record
from asyncbench.results.same_sweep import check_same_sweep

_ANOTHER: Final = "give another --output"
_FIRST_STEPS: Final = {
    errno.ENOSPC: "free space there",
    errno.EDQUOT: "free space there",
    errno.EFBIG: "raise the limit on file sizes (ulimit -f)",
}


class ResultsFile:
    """A file that this process alone writes. One task at a time calls it; every call may block on the disk.

    It is made with its first record, so that a start that fails leaves nothing behind.
    """

    def __init__(self, path: Path, *, fd: int | None, whole_bytes: int) -> None:
        self.path = path
        self._fd = fd
        self._whole_bytes = whole_bytes

    @classmethod
    def create(cls, path: Path) -> ResultsFile:
        """Prepare a new file; missing folders are made along with it, at the first record.

        Raises:
            BadInputError: Something is there already, or nothing can be made there.
        """
        refuse_unusable(path)
        return cls(path, fd=None, whole_bytes=0)

    @classmethod
    def resume(cls, path: Path, *, configs: Sequence[Mapping[str, JsonValue]]) -> tuple[ResultsFile, ResultsRead]:
        """Open a file to go on with it. Its torn last line, if any, goes when the first record is appended.

        Args:
            path: What an earlier sweep left.
            configs: What the command line asks for, dumped like the header's `config`.

        Raises:
            BadInputError: It cannot be read, another process writes it, or it is of another sweep.
        """
        fd = _open_locked(path)
        try:
            read = read_results(path, allow_torn=True)
            check_same_sweep(read.header, configs)
        except BaseException:
            os.close(fd)
            raise
        return cls(path, fd=fd, whole_bytes=read.good_bytes), read

    def append(self, record: Record) -> None:
        """Write the record as one line and sync it. A line that could not be written whole is taken back.

        Raises:
            BadInputError: The file was made by somebody else in the meantime.
            OutputError: It cannot be written; what was written before is whole.
        """
        line = encode_line(record)
        if self._fd is None:
            self._create(line)
        else:
            self._append_line(self._fd, line)

    def close(self) -> None:
        """Let go of the file and its lock; again is harmless."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    def _create(self, line: bytes) -> None:
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            fd = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o666)
        except FileExistsError as error:
            raise in_the_way(self.path) from error
        except OSError as error:
            raise OutputError(f"{self.path}: cannot be made ({error.strerror})", remedy=_ANOTHER) from error
        try:
            _lock(fd, self.path)
            self._append_line(fd, line)
            _sync_folder(self.path)
        except BaseException:
            # Nothing was measured yet: an empty file would only stand in the way of the next start.
            os.close(fd)
            self.path.unlink(missing_ok=True)
            self._whole_bytes = 0
            raise
        self._fd = fd

    def _append_line(self, fd: int, line: bytes) -> None:
        try:
            _drop_beyond(fd, self._whole_bytes)
            write_line(fd, line)
            os.fsync(fd)
        except OSError as error:
            self._take_back(fd)
            first_step = _FIRST_STEPS.get(error.errno or 0, "check the disk")
            then = "go on with --resume" if self._whole_bytes else "start again"
            remedy = f"{first_step}, then {then}"
            raise OutputError(f"{self.path}: {error.strerror}", remedy=remedy, errno=error.errno) from error
        self._whole_bytes += len(line)

    def _take_back(self, fd: int) -> None:
        try:
            _drop_beyond(fd, self._whole_bytes)
        except OSError:
            # What remains is a torn last line: readers drop it, and so does the next append. The error that brought us
            # here is the one to report.
            return


def _drop_beyond(fd: int, whole_bytes: int) -> None:
    if os.fstat(fd).st_size > whole_bytes:
        os.ftruncate(fd, whole_bytes)


def _open_locked(path: Path) -> int:
    try:
        fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_NONBLOCK)
    except FileNotFoundError as error:
        raise BadInputError(f"{path}: there is nothing to resume", remedy="leave --resume out") from error
    except OSError as error:
        raise BadInputError(f"{path}: cannot be written ({error.strerror})", remedy=_ANOTHER) from error
    try:
        _refuse_special(fd, path)
        _lock(fd, path)
    except BaseException:
        os.close(fd)
        raise
    return fd


def _refuse_special(fd: int, path: Path) -> None:
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        raise BadInputError(f"{path}: is not a regular file", remedy=_ANOTHER)


def _lock(fd: int, path: Path) -> None:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise BadInputError(
            f"{path}: another sweep is writing it", remedy="wait until it has ended, or give another --output"
        ) from error
    except OSError as error:
        remedy = "give an --output on a file system with locks"
        raise BadInputError(f"{path}: cannot be locked ({error.strerror})", remedy=remedy) from error


def _sync_folder(path: Path) -> None:
    """Make the name of a new file outlive a loss of power."""
    try:
        fd = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)
    except OSError as error:
        # Some network file systems cannot sync folders, and answer so.
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise OutputError(f"{path}: its folder cannot be synced ({error.strerror})", remedy=_ANOTHER) from error
