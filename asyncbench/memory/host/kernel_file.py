"""A file of /proc or of a control group that is read again and again."""

from __future__ import annotations

import errno
import os
import re
from contextlib import closing
from pathlib import Path

_ABSENT = frozenset({errno.ENOENT, errno.ENOTDIR, errno.EACCES, errno.EPERM, errno.ENODEV, errno.EOPNOTSUPP})
_CHUNK_BYTES = 1 << 16


class KernelFile:
    """Kept open: reading opens nothing, so that it still works when memory or descriptors are short.

    Threads may read at the same time. Whoever makes it closes it.
    """

    def __init__(self, path: Path) -> None:
        self._fd = _open(path)

    def read(self) -> str:
        """Return what the kernel says now; empty where the file is missing, not allowed, or its group is gone.

        Raises:
            OSError: Anything else: a limit that is not seen would be a limit that is not kept.
        """
        if self._fd is None:
            return ""
        chunks: list[bytes] = []
        try:
            # Lists of the kernel (/proc/vmstat) come a page at a time; only an empty answer is the end.
            while chunk := os.pread(self._fd, _CHUNK_BYTES, sum(map(len, chunks))):
                chunks.append(chunk)
        except OSError as error:
            if error.errno not in _ABSENT:
                raise
            return ""
        return b"".join(chunks).decode("ascii", "replace")

    def close(self) -> None:
        """Let go of the descriptor; again is harmless."""
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None


def read_once(path: Path) -> str:
    """Return what a file says now; see `KernelFile.read`."""
    with closing(KernelFile(path)) as file:
        return file.read()


def line_pattern(key: str) -> re.Pattern[str]:
    """Return a pattern for `key 123` as a whole line; a line that was cut short does not match."""
    return re.compile(rf"^{re.escape(key)}:?[ \t]+(\d+)(?: kB)?\n", re.MULTILINE)


def find_number(pattern: re.Pattern[str], text: str) -> int | None:
    """Return the number that the pattern captures, or None where the text has no such line."""
    match = pattern.search(text)
    return int(match.group(1)) if match else None


def only_number(text: str) -> int | None:
    """Return the number that is the whole text; None for `max`, and for nothing."""
    text = text.strip()
    return int(text) if text.isdecimal() else None


def _open(path: Path) -> int | None:
    try:
        return os.open(path, os.O_RDONLY)
    except OSError as error:
        if error.errno not in _ABSENT:
            raise
        return None
