"""A results file on disk: one line per record, each whole and synced before the next, or not there at all."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from pydantic import JsonValue

from asyncbench.errors import BadInputError, OutputError
from asyncbench.results.lines import encode_line, write_line
from asyncbench.results.new_path import NewFile, is_same_file, reserve, reserve_free
from asyncbench.results.reader import ResultsRead, read_results
from asyncbench.results.record import Record
from asyncbench.results.rescue import (
    TAIL_BYTES,
    Loss,
    Written,
    find_loss,
    open_rescue,
    read_chunks,
    read_tail,
    rescued_beside,
)
from asyncbench.results.same_sweep import check_same_sweep
from asyncbench.results.writer_lock import lock_for_writing

_ANOTHER: Final = "give another --output"
_FIRST_STEPS: Final = {
    errno.ENOSPC: "free space there",
    errno.EDQUOT: "free space there",
    errno.EFBIG: "raise the limit on file sizes (ulimit -f)",
}


class ResultsFile:
    """A file that this process alone writes. One task at a time calls it; every call may block on the disk.

    It is there, empty, from the start, so that its name is taken, and gone again where no record was written.
    Should it be deleted, moved, cut off or replaced meanwhile, the records go on in a rescue file beside it.

    Attributes:
        path: Where the records go now.
        loss: What has become of the file that was asked for, such as "out.jsonl was deleted"; None where it is well.
    """

    def __init__(
        self,
        path: Path,
        *,
        fd: int,
        whole_bytes: int,
        new_file: NewFile | None = None,
        records: Sequence[Record] = (),
    ) -> None:
        self.path = path
        self.loss: str | None = None
        self._asked = path
        self._fd: int | None = fd
        self._whole_bytes = whole_bytes
        self._tail = b""
        self._new_file = new_file
        self._records = list(records)

    @classmethod
    def create(cls, path: Path, *, or_next_free: bool = False) -> ResultsFile:
        """Make a new file; missing folders are made along with it.

        Args:
            or_next_free: Where the name is taken, take one with a number at its end.

        Raises:
            BadInputError: Something is there already, or nothing can be made there.
        """
        new_file = reserve_free(path) if or_next_free else reserve(path)
        return cls(new_file.path, fd=new_file.fd, whole_bytes=0, new_file=new_file)

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
            records: list[Record] = [read.header, *read.cells.values()]
            results = cls(path, fd=fd, whole_bytes=read.good_bytes, records=records)
            results._tail = read_tail(fd, read.good_bytes)
        except BaseException:
            os.close(fd)
            raise
        return results, read

    def append(self, record: Record) -> str | None:
        """Write the record as one line and sync it. A line that could not be written whole is taken back.

        Returns:
            A notice for people: where the records are now, if the file was lost.

        Raises:
            OutputError: It cannot be written; what was written before is whole.
        """
        line = encode_line(record)
        notice = self.check()
        try:
            self._append_line(self._open_fd(), line)
            if self._whole_bytes == len(line):
                _sync_folder(self.path)
        except BaseException:
            if not self._records:  # nothing was measured yet
                self.close()
            raise
        self._records.append(record)
        self._tail = line[-TAIL_BYTES:]
        return self.check() or notice

    def check(self) -> str | None:
        """Make sure that all that was written is where it was; else put it into a rescue file, and go on there.

        Returns:
            A notice for people, None where all is well.

        Raises:
            OutputError: It is gone, and nothing can be made in its place.
        """
        written = Written(fd=self._open_fd(), path=self.path, size_bytes=self._whole_bytes, tail=self._tail)
        try:
            loss = find_loss(written)
        except OSError as error:
            loss = Loss(text=f"cannot be read any more ({error.strerror})", is_readable=False)
        if loss is None:
            return None
        lost = f"{self.path} {loss.text} while the sweep ran"
        self._move_to_rescue(written, loss, lost)
        self.loss = self.loss or lost
        return f"{lost}: all its records are in {self.path} now, and the sweep goes on there"

    def close(self) -> None:
        """Let go of the file and its lock, and of an empty one itself; again is harmless."""
        fd, self._fd = self._fd, None
        if fd is None:
            return
        if self._new_file is not None and not self._whole_bytes and self.loss is None:
            self._new_file.give_up()
        else:
            self._remove_empty_rescue(fd)
            os.close(fd)

    def _remove_empty_rescue(self, fd: int) -> None:
        if self.loss is not None and not self._whole_bytes and is_same_file(fd, self.path):
            with suppress(OSError):
                self.path.unlink()

    def _open_fd(self) -> int:
        if self._fd is None:
            raise OutputError(f"{self.path}: is closed", remedy="start again")
        return self._fd

    def _move_to_rescue(self, written: Written, loss: Loss, lost: str) -> None:
        if loss.is_readable:
            content = list(read_chunks(written.fd, written.size_bytes))
        else:
            content = [encode_line(record) for record in self._records]
        fd, path = open_rescue(self._asked, content, lost=lost)
        os.close(written.fd)
        self._fd, self.path = fd, path
        self._whole_bytes = sum(map(len, content))
        self._tail = read_tail(fd, self._whole_bytes)

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
        fd = os.open(path, os.O_RDWR | os.O_APPEND | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError as error:
        raise _nothing_to_resume(path, "there is nothing to resume") from error
    except OSError as error:
        raise BadInputError(f"{path}: cannot be written ({error.strerror})", remedy=_ANOTHER) from error
    try:
        _refuse_special(fd, path)
        lock_for_writing(fd, path)
        _refuse_empty(fd, path)
    except BaseException:
        os.close(fd)
        raise
    return fd


def _refuse_empty(fd: int, path: Path) -> None:
    if not os.fstat(fd).st_size:
        raise _nothing_to_resume(path, "is empty: there is nothing to resume")


def _nothing_to_resume(path: Path, why: str) -> BadInputError:
    rescued = rescued_beside(path)
    remedy = f"go on with {rescued}, which holds what was rescued" if rescued else "leave --resume out"
    return BadInputError(f"{path}: {why}", remedy=remedy)


def _refuse_special(fd: int, path: Path) -> None:
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        raise BadInputError(f"{path}: is not a regular file", remedy=_ANOTHER)


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
