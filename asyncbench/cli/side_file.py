"""A file that is written beside the results, such as a log: opening it cannot hang, and its disk may get full."""

from __future__ import annotations

import errno
import os
import stat
import sys
from pathlib import Path
from typing import Final

from asyncbench.errors import OutputError

_WRITABLE: Final = (stat.S_ISREG, stat.S_ISFIFO, stat.S_ISCHR)


class SideFile:
    """Lines into a file, pipe or terminal; what it does not take is left out, and reported at the end.

    Args:
        option: The option that named it.
        append: Keep what is there.

    Raises:
        OutputError: It cannot be opened, or is a pipe that nobody reads.
    """

    def __init__(self, path: Path, *, option: str, append: bool) -> None:
        self._source = f"{option} {path}"
        self._is_torn = False
        self._left_out = 0
        self._failure = ""
        flags = os.O_WRONLY | os.O_CREAT | (os.O_APPEND if append else os.O_TRUNC)
        try:
            # Without O_NONBLOCK opening a pipe waits for its reader, and a write for a reader that is slow.
            self._fd = os.open(path, flags | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC, 0o666)
        except OSError as error:
            if error.errno == errno.ENXIO:
                raise self._refusal("a pipe or socket that nobody reads") from error
            raise self._refusal(error.strerror or str(error)) from error
        except ValueError as error:  # a NUL in the path
            raise self._refusal(str(error)) from error
        mode = os.fstat(self._fd).st_mode
        if not any(is_kind(mode) for is_kind in _WRITABLE):
            os.close(self._fd)
            raise self._refusal("not a file")

    def close(self) -> None:
        """Close it, and say on stderr what is missing."""
        os.close(self._fd)
        if self._left_out:
            lines = "line is" if self._left_out == 1 else "lines are"
            print(f"{self._source}: {self._failure}: {self._left_out} {lines} missing", file=sys.stderr)  # noqa: T201

    def write_line(self, text: str) -> None:
        """Write one line, given without its end. A line that got in by a part only is ended before the next."""
        left = (b"\n" if self._is_torn else b"") + text.encode(errors="backslashreplace") + b"\n"
        try:
            while left:
                written = os.write(self._fd, left)
                left = left[written:]
                self._is_torn = bool(left)
        except OSError as error:
            self._failure = error.strerror or str(error)
            self._left_out += 1

    def _refusal(self, reason: str) -> OutputError:
        return OutputError(f"{self._source}: {reason}", remedy="name a file that can be written")
