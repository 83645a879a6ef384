"""Rescue of a results file that is deleted, moved, cut off or replaced while it is written."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import Final

from asyncbench.errors import BadInputError, OutputError
from asyncbench.results.lines import write_line
from asyncbench.results.new_path import NEW_FILE_FLAGS, is_same_file
from asyncbench.results.writer_lock import lock_for_writing

TAIL_BYTES: Final = 256
"""Bytes of a file's end that are compared: the end of one line, with its figures."""
_CHUNK_BYTES: Final = 1 << 20
_MAX_NAMES: Final = 1000
_STEM_CHARS: Final = 100  # of the name, so that what is added to it is never too long


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """A results file as it should be.

    Attributes:
        size_bytes: All that was written; nothing but a torn line may come after it.
        tail: How that ends.
    """

    fd: int
    path: Path
    size_bytes: int
    tail: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Loss:
    """Loss of a file.

    Attributes:
        text: Goes after the name of the file, such as "was deleted".
        is_readable: Whether all that was written can still be read from the open descriptor.
    """

    text: str
    is_readable: bool


def find_loss(written: Written) -> Loss | None:
    """Return what has happened to the file since it was last written to, or None where all is well."""
    opened = os.fstat(written.fd)
    if opened.st_size < written.size_bytes:
        return Loss(text=f"has shrunk from {written.size_bytes} B to {opened.st_size} B", is_readable=False)
    if _tail_of(written.fd, written.size_bytes, len(written.tail)) != written.tail:
        return Loss(text="was replaced by something else", is_readable=False)
    if is_same_file(written.fd, written.path):
        return None
    return _loss_of_name(written, links=opened.st_nlink)


def open_rescue(asked: Path, content: Sequence[bytes], *, lost: str) -> tuple[int, Path]:
    """Write what there is to a new file beside the one that was asked for, or where else there is room.

    Args:
        lost: What has happened, for the error.

    Returns:
        Its descriptor, locked, and where it is.

    Raises:
        OutputError: No file can be made anywhere.
    """
    error: OSError | None = None
    for folder in _folders(asked):
        try:
            return _write_new(folder, asked, content)
        except OSError as failed:
            error = error or failed
    reason = error.strerror if error else "no folder"
    raise OutputError(f"{lost}, and no file can be made to rescue its records ({reason})", remedy="check the disk")


def rescued_beside(path: Path) -> Path | None:
    """Return the last file that was rescued in place of this one, where there is one."""
    found = list(takewhile(Path.is_file, _names(path.parent, path)))
    return found[-1] if found else None


def read_tail(fd: int, size_bytes: int) -> bytes:
    """Return how the first `size_bytes` of a file end."""
    return _tail_of(fd, size_bytes, min(size_bytes, TAIL_BYTES))


def read_chunks(fd: int, size_bytes: int) -> Iterator[bytes]:
    """Yield the first `size_bytes` of a file."""
    for offset in range(0, size_bytes, _CHUNK_BYTES):
        yield os.pread(fd, min(_CHUNK_BYTES, size_bytes - offset), offset)


def _tail_of(fd: int, size_bytes: int, tail_bytes: int) -> bytes:
    return os.pread(fd, tail_bytes, size_bytes - tail_bytes) if tail_bytes else b""


def _loss_of_name(written: Written, *, links: int) -> Loss | None:
    try:
        # Some network file systems give a file another number now and then: what it holds tells.
        is_ours = _holds(written.path, written) and links > 0
    except (FileNotFoundError, NotADirectoryError):
        return Loss(text="was moved" if links else "was deleted", is_readable=True)
    except OSError:
        is_ours = False
    return None if is_ours else Loss(text="was replaced by something else", is_readable=True)


def _holds(path: Path, written: Written) -> bool:
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        is_as_long = os.fstat(fd).st_size == written.size_bytes
        return is_as_long and _tail_of(fd, written.size_bytes, len(written.tail)) == written.tail
    finally:
        os.close(fd)


def _folders(asked: Path) -> Iterator[Path]:
    yield asked.parent
    with suppress(OSError):
        yield Path.cwd()
    with suppress(OSError):
        yield Path(tempfile.gettempdir())


def _names(folder: Path, asked: Path) -> Iterator[Path]:
    for number in range(1, _MAX_NAMES):
        yield folder / f"{asked.stem[:_STEM_CHARS]}.rescued-{number}{asked.suffix[:_STEM_CHARS]}"


def _write_new(folder: Path, asked: Path, content: Sequence[bytes]) -> tuple[int, Path]:
    fd, path = _open_new(folder, asked)
    try:
        for chunk in content:
            write_line(fd, chunk)
        os.fsync(fd)
    except OSError:
        os.close(fd)
        path.unlink(missing_ok=True)
        raise
    return fd, path


def _open_new(folder: Path, asked: Path) -> tuple[int, Path]:
    for path in _names(folder, asked):
        with suppress(FileExistsError):
            fd = os.open(path, NEW_FILE_FLAGS, 0o666)
            with suppress(BadInputError):  # no locks here: the records matter more
                lock_for_writing(fd, path)
            return fd, path
    raise FileExistsError(None, "there are too many")
