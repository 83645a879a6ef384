"""stdout and stderr for people: what cannot be shown is lost, and takes nothing else along.

A terminal that went away, a reader that has seen enough, a full disk, a pager that stands still: none of them may end
or hold up a measurement. Records do not go this way (results/stdout.py).
"""

from __future__ import annotations

import errno
import io
import os
import select
import sys
from typing import Any, Final, TextIO

STDOUT_FD, STDERR_FD = 1, 2
STUCK_LIMIT_MS: Final = 1000
"""How long somebody who reads lines for people may hold up a sweep: once, until they read again."""
_CHUNK_BYTES: Final = select.PIPE_BUF  # what a pipe that is ready takes without blocking


class GuardedOutput(io.RawIOBase):
    """A descriptor that is written to and never raises.

    Args:
        best_effort: Drop what the reader does not take within `STUCK_LIMIT_MS`, and try again after a failure. Else
            wait for the reader, and write nothing more after the first failure.

    Attributes:
        failure: The first error.
    """

    def __init__(self, fd: int, *, best_effort: bool) -> None:
        super().__init__()
        self._fd = fd
        self._best_effort = best_effort
        self._is_stuck = False
        self.failure: OSError | None = None

    def writable(self) -> bool:
        """See io.RawIOBase."""
        return True

    def fileno(self) -> int:
        """See io.RawIOBase."""
        return self._fd

    def isatty(self) -> bool:
        """See io.RawIOBase; a terminal that went away is none."""
        return os.isatty(self._fd)

    def write(self, data: Any, /) -> int:  # noqa: ANN401 # whatever has a buffer: the type has a name from 3.12 on
        """Write all of it, or lose what is left of it; return its length either way."""
        with memoryview(data).cast("B") as left:
            size_bytes = len(left)
            if self.failure is None or self._best_effort:
                try:
                    self._write_all(left)
                except OSError as error:
                    self.failure = self.failure or error
            return size_bytes

    def _write_all(self, data: memoryview) -> None:
        done_bytes = 0
        while done_bytes < len(data) and self._wait_room():
            try:
                done_bytes += os.write(self._fd, data[done_bytes : done_bytes + _CHUNK_BYTES])
            except BlockingIOError:  # whoever shares the stream made it so
                continue

    def _wait_room(self) -> bool:
        """Wait until something can be written; False where nobody may wait any longer."""
        poll = select.poll()
        poll.register(self._fd, select.POLLOUT)
        if not self._best_effort:
            poll.poll()
            return True
        self._is_stuck = not poll.poll(0 if self._is_stuck else STUCK_LIMIT_MS)
        return not self._is_stuck


def guard_streams() -> GuardedOutput:
    """Put guarded streams in place of `sys.stdout` and `sys.stderr`, and return what is below stdout.

    Everything that prints for people finds them there: typer, rich, structlog, warnings, tracebacks.
    """
    stdout = GuardedOutput(STDOUT_FD, best_effort=False)
    stderr = GuardedOutput(STDERR_FD, best_effort=True)
    sys.stdout = _text(stdout, like=sys.stdout, line_buffering=stdout.isatty())
    sys.stderr = _text(stderr, like=sys.stderr, line_buffering=True)
    return stdout


def stdout_complaint(stdout: GuardedOutput) -> str | None:
    """Return what to tell of a command whose answer did not get out; None where it did, or the reader had enough."""
    sys.stdout.flush()
    failure = stdout.failure
    if failure is None or failure.errno == errno.EPIPE:
        return None
    if failure.errno == errno.EBADF:
        return "stdout is closed: send it somewhere"
    return f"stdout: {failure.strerror}: send it somewhere else"


def _text(raw: GuardedOutput, *, like: TextIO | None, line_buffering: bool) -> io.TextIOWrapper:
    # Names of files may hold what is no text: escaped, as Python does on stderr.
    return io.TextIOWrapper(
        io.BufferedWriter(raw),
        encoding=getattr(like, "encoding", None) or "utf-8",
        errors="backslashreplace",
        line_buffering=line_buffering,
    )
