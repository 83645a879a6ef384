"""Records on stdout, for a pipe into another program; or on what else is written once and never read again."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from pathlib import Path
from typing import Final

from asyncbench.errors import BadInputError, OutputError
from asyncbench.results.lines import encode_line, write_line
from asyncbench.results.record import Record

STDOUT_FD: Final = 1
STDERR_FD: Final = 2
_DESCRIPTORS: Final = {"/dev/stdin": 0, "/dev/stdout": STDOUT_FD, "/dev/stderr": STDERR_FD}
_DESCRIPTOR_FOLDERS: Final = ("/dev/fd", "/proc/self/fd")
_REMEDY: Final = "give --output a file, or - for stdout"


class StdoutResults:
    """Records on a stream that is not ours to sync or lock. A call blocks while the reader is slow.

    Args:
        name: What messages call it.
        is_ours: Close it in the end.
    """

    def __init__(self, *, fd: int = STDOUT_FD, name: str = "stdout", is_ours: bool = False) -> None:
        self._fd = fd
        self._name = name
        self._is_ours = is_ours

    def append(self, record: Record) -> None:
        """Write the record as one line.

        Raises:
            OutputError: Nobody reads any more, or there is no room where it is redirected to.
        """
        # Past sys.stdout, whose buffer would hold lines back and fail once more at exit.
        line = encode_line(record)
        try:
            write_line(self._fd, line)
        except BrokenPipeError as error:
            remedy = "let it read to the end, or write to a file with --output FILE"
            raise OutputError(f"{self._name}: the program that read the records has ended", remedy=remedy) from error
        except OSError as error:
            remedy = "give --output a file"
            raise OutputError(f"{self._name}: {error.strerror}", remedy=remedy, errno=error.errno) from error

    def check(self) -> None:
        """Do nothing: what a reader has taken is the reader's."""

    def close(self) -> None:
        """Close what was opened here: stdout stays open for whoever owns it. Again is harmless."""
        if self._is_ours:
            self._is_ours = False
            os.close(self._fd)


def open_stdout() -> StdoutResults:
    """Return stdout.

    Raises:
        BadInputError: It is closed.
    """
    _require_writable(STDOUT_FD, "--output -", closed="stdout is closed")
    return StdoutResults()


def open_stream(path: Path) -> StdoutResults | None:
    """Return an open descriptor, pipe or device that a path names, such as /dev/stdout; None where it names a file.

    Raises:
        BadInputError: It cannot be written to, nobody reads it, or it is where lines for people go.
    """
    number = _descriptor_of(path)
    if number is not None:
        if number == STDERR_FD:
            raise BadInputError(f"{path}: that is where lines for people go", remedy=_REMEDY)
        _require_writable(number, str(path), closed="is closed")
        return StdoutResults(fd=os.dup(number), name=str(path), is_ours=True)
    try:
        mode = path.stat().st_mode
    except OSError:
        return None
    if not (stat.S_ISCHR(mode) or stat.S_ISFIFO(mode)):
        return None
    return StdoutResults(fd=_open_special(path), name=str(path), is_ours=True)


def _descriptor_of(path: Path) -> int | None:
    if str(path) in _DESCRIPTORS:
        return _DESCRIPTORS[str(path)]
    is_one = str(path.parent) in _DESCRIPTOR_FOLDERS and path.name.isascii() and path.name.isdecimal()
    return int(path.name) if is_one else None


def _require_writable(fd: int, name: str, *, closed: str) -> None:
    try:
        mode = fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_ACCMODE
    except (OSError, OverflowError) as error:
        raise BadInputError(f"{name}: {closed}", remedy="give --output a file") from error
    # Where a standard descriptor was closed at the start, something is there that cannot be written to.
    if mode == os.O_RDONLY:
        raise BadInputError(f"{name}: {closed}, or open for reading only", remedy="give --output a file")


def _open_special(path: Path) -> int:
    try:
        # Without O_NONBLOCK opening a pipe waits for its reader, for ever.
        fd = os.open(path, os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError as error:
        if error.errno == errno.ENXIO:
            raise BadInputError(f"{path}: a pipe that nobody reads", remedy="start its reader first") from error
        raise BadInputError(f"{path}: cannot be written ({error.strerror})", remedy=_REMEDY) from error
    os.set_blocking(fd, True)
    return fd
