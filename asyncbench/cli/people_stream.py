"""stdout and stderr for people: what cannot be shown is lost, and takes nothing else along.

A terminal that went away, a reader that has seen enough, a full disk, a pager that stands still: none of them may end
or hold up a measurement. Records do not go this way (results/stdout.py).
"""

from __future__ import annotations

import errno
import io
import os
import select
import stat
import sys
import time
from typing import Any, Final, TextIO

STDOUT_FD, STDERR_FD = 1, 2
STUCK_LIMIT_MS: Final = 1000
"""Time for which a reader of the lines for people may hold up a sweep: once, until they read again."""
_PAUSE_MS: Final = 10
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
        self._own_fd = _open_again(fd) if best_effort else None
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

    def close(self) -> None:
        """Close what was opened here; the descriptor itself stays open."""
        own_fd, self._own_fd = self._own_fd, None
        if own_fd is not None:
            os.close(own_fd)
        super().close()

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
        fd = self._fd if self._own_fd is None else self._own_fd
        done_bytes, refused = 0, 0
        while done_bytes < len(data) and self._wait_room():
            try:
                done_bytes += os.write(fd, data[done_bytes : done_bytes + _CHUNK_BYTES])
                self._is_stuck = False
            except BlockingIOError:  # less room than poll says: a terminal needs two bytes for the end of a line
                refused += 1
                if self._best_effort and (self._is_stuck or refused * _PAUSE_MS > STUCK_LIMIT_MS):
                    self._is_stuck = True
                    return
                time.sleep(_PAUSE_MS / 1000)

    def _wait_room(self) -> bool:
        """Wait until something can be written; False where nobody may wait any longer."""
        poll = select.poll()
        poll.register(self._fd, select.POLLOUT)
        if not self._best_effort:
            poll.poll()
            return True
        has_room = bool(poll.poll(0 if self._is_stuck else STUCK_LIMIT_MS))
        self._is_stuck = self._is_stuck or not has_room
        return has_room


def _open_again(fd: int) -> int | None:
    """Return the same terminal or pipe as a descriptor that does not block; None where there is none.

    Setting the one that we got so would do it to the shell and to everybody else who has it. Writing to it as it is
    blocks on a terminal with less room than the text, for ever where the connection behind it is dead.
    """
    try:
        mode = os.fstat(fd).st_mode
        if stat.S_ISCHR(mode) or stat.S_ISFIFO(mode):
            return os.open(f"/proc/self/fd/{fd}", os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError:
        pass  # nobody reads it, it is closed, or it is another user's terminal
    return None


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
