"""Small files that a user names: configurations, labels, tables. Read whole, in bounded time and memory.

A path of the command line may lead to anything: a folder, a device that never ends, a pipe that nobody writes to, a
text with a byte order mark of Windows. Everything that is read from a user's path goes through here.
"""

from __future__ import annotations

import codecs
import os
import select
import stat
from contextlib import closing
from pathlib import Path

from asyncbench.clock import NS_PER_MS, NS_PER_S, now_ns
from asyncbench.errors import BadInputError
from asyncbench.units import format_size

MAX_TEXT_BYTES = 64 << 20
"""Enough for every configuration, label list and table that we know; a data set's instances may be larger."""
PIPE_LIMIT_S = 5.0
"""How long the writer of a pipe may take: `--config <(jq …)` needs a moment, a pipe without a writer has none."""
_CHUNK_BYTES = 1 << 20
_KINDS = {
    stat.S_IFDIR: "it is a folder",
    stat.S_IFCHR: "it is a device, not a file",
    stat.S_IFBLK: "it is a device, not a file",
    stat.S_IFSOCK: "it is a socket, not a file",
    stat.S_IFIFO: "it is a pipe, not a file",
}


def path_of(name: object, *, what: str, remedy: str) -> Path:
    """Return the path that a program names; opens nothing.

    Raises:
        BadInputError: It is no name of a file.
    """
    try:
        text = os.fsdecode(name)  # type: ignore[arg-type] # a program may give anything
    except TypeError as error:
        raise BadInputError(f"{what} is of type {type(name).__name__}, and no path", remedy=remedy) from error
    if "\0" in text:
        raise BadInputError(f"{what} has a NUL in its name", remedy=remedy)
    return Path(text)


def require_regular_file(path: Path, *, what: str, remedy: str) -> None:
    """Check that a path is a file that can be opened more than once. Never blocks on a pipe.

    Args:
        what: What the message calls it, such as "--model".

    Raises:
        BadInputError: It is missing, may not be read, or is a folder, pipe, socket or device.
    """
    with closing(_Opened(path, what=what, remedy=remedy)) as opened:
        opened.require_regular()


def read_user_bytes(
    path: Path, *, what: str, remedy: str, limit_bytes: int = MAX_TEXT_BYTES, pipe_limit_s: float | None = None
) -> bytes:
    """Return what a file or a pipe holds. Blocking: for as long as a disk takes, or `pipe_limit_s`.

    Args:
        what: What the message calls it, such as "--config".
        remedy: What the user should do, in the imperative.
        limit_bytes: The most that is read.
        pipe_limit_s: How long a pipe may take to get a writer and to be written to its end; None for `PIPE_LIMIT_S`.

    Raises:
        BadInputError: It cannot be read, is a folder or a device, is larger than `limit_bytes`, or is a pipe whose
            writer does not end.
    """
    with closing(_Opened(path, what=what, remedy=remedy)) as opened:
        return opened.read_all(limit_bytes, PIPE_LIMIT_S if pipe_limit_s is None else pipe_limit_s)


def read_user_text(path: Path, *, what: str, remedy: str, limit_bytes: int = MAX_TEXT_BYTES) -> str:
    r"""Return the text of a file or a pipe, without a byte order mark and with `\n` at the end of every line.

    UTF-8, or what a byte order mark says: Windows' Notepad, PowerShell and Excel write UTF-8 and UTF-16 with one.

    Raises:
        BadInputError: See `read_user_bytes`; or it is no text.
    """
    data = read_user_bytes(path, what=what, remedy=remedy, limit_bytes=limit_bytes)
    return decode_text(data, source=f"{what} {path}", remedy=remedy)


def decode_text(data: bytes, *, source: str, remedy: str) -> str:
    """Return bytes of a user's file as text; see `read_user_text`.

    Raises:
        BadInputError: It is no text; the message begins with `source` and names the line.
    """
    encoding = "utf-16" if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) else "utf-8-sig"
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        name = encoding.removesuffix("-sig").upper()
        raise BadInputError(f"{source}: line {line} is not {name} text", remedy=remedy, line=line) from error
    return text.replace("\r\n", "\n")


class _Opened:
    """A user's path, opened in a way that cannot hang."""

    def __init__(self, path: Path, *, what: str, remedy: str) -> None:
        self._source, self._remedy = f"{what} {path}", remedy
        try:
            # Without O_NONBLOCK opening a pipe waits for whoever writes to it, for ever.
            self._fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            raise self._refusal(_reason(error)) from error
        except ValueError as error:  # a NUL in the path
            raise self._refusal(str(error)) from error
        self._mode = os.fstat(self._fd).st_mode

    def close(self) -> None:
        os.close(self._fd)

    def require_regular(self) -> None:
        if not stat.S_ISREG(self._mode):
            raise self._refusal(_KINDS.get(stat.S_IFMT(self._mode), "it is no file"))

    def read_all(self, limit_bytes: int, pipe_limit_s: float) -> bytes:
        ends_at_ns = now_ns() + int(pipe_limit_s * NS_PER_S)
        if stat.S_ISFIFO(self._mode):
            # A named pipe whose writer has not come yet reads as one that has ended.
            self._wait_written(ends_at_ns)
        else:
            self.require_regular()
        chunks: list[bytes] = []
        total_bytes = 0
        while chunk := self._read_chunk(ends_at_ns):
            chunks.append(chunk)
            total_bytes += len(chunk)
            if total_bytes > limit_bytes:
                raise self._refusal(f"it is larger than {format_size(limit_bytes)}")
        if not chunks and stat.S_ISFIFO(self._mode):
            raise self._refusal("it is a pipe that nothing was written to")
        return b"".join(chunks)

    def _read_chunk(self, ends_at_ns: int) -> bytes:
        while True:
            try:
                return os.read(self._fd, _CHUNK_BYTES)
            except BlockingIOError:
                self._wait_written(ends_at_ns)
            except OSError as error:
                raise self._refusal(_reason(error)) from error

    def _wait_written(self, ends_at_ns: int) -> None:
        left_ms = (ends_at_ns - now_ns()) // NS_PER_MS
        poll = select.poll()
        poll.register(self._fd, select.POLLIN)
        if left_ms <= 0 or not poll.poll(left_ms):
            raise self._refusal("it is a pipe, and nobody wrote to it or its writer did not end")

    def _refusal(self, reason: str) -> BadInputError:
        return BadInputError(f"{self._source}: {reason}", remedy=self._remedy)


def _reason(error: OSError) -> str:
    return error.strerror or str(error)
