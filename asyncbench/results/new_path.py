"""New results files, made and locked at once: whoever starts a second later sees that the name is taken."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from asyncbench.errors import BadInputError
from asyncbench.results.writer_lock import lock_for_writing

NEW_FILE_FLAGS: Final = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC
_ANOTHER: Final = "give another --output"
_MAX_NAMES: Final = 1000
_MAX_TRIES: Final = 10  # against a sweep that begins and gives up again and again


@dataclass(frozen=True, slots=True, kw_only=True)
class NewFile:
    """An empty file that is ours: open and locked.

    Attributes:
        is_made: False where an empty file was there.
        made_folders: Those that were missing, the innermost last.
    """

    fd: int
    path: Path
    is_made: bool
    made_folders: tuple[Path, ...]

    def give_up(self) -> None:
        """Remove what was made, if it still is what it was, and let go of it."""
        _give_up(self.fd, self.path, is_made=self.is_made)
        _remove_folders(self.made_folders)


def refuse_unusable(path: Path, *, or_next_free: bool) -> None:
    """Refuse a path that `reserve`, or else `reserve_free`, would refuse, as far as that shows without making a file.

    Raises:
        BadInputError: Something is there, or its folder is none or cannot be written to.
    """
    try:
        _refuse_unusable(path)
        is_empty_file = path.is_file() and path.stat().st_size == 0
    except OSError as error:
        raise BadInputError(f"{path}: cannot be made ({error.strerror})", remedy=_ANOTHER) from error
    if os.path.lexists(path) and not is_empty_file and not or_next_free:
        raise in_the_way(path)


def reserve(path: Path) -> NewFile:
    """Make a new, empty file, and the folders that it needs.

    An empty one that nobody writes is taken as it is: a sweep that was killed before its first record leaves one.

    Raises:
        BadInputError: Something is there, another sweep is writing it, or nothing can be made there.
    """
    error: OSError | None = None
    for _ in range(_MAX_TRIES):
        try:
            return _reserve(path)
        except FileNotFoundError as vanished:  # whoever had made the folder before us has given it up
            error = vanished
        except OSError as failed:
            error = failed
            break
    reason = error.strerror if error else "another sweep is in the way"
    raise BadInputError(f"{path}: cannot be made ({reason})", remedy=_ANOTHER) from error


def reserve_free(path: Path) -> NewFile:
    """Make a new, empty file of this name, or of the next one that is free: `name-2.jsonl`, `name-3.jsonl`.

    Raises:
        BadInputError: Nothing can be made there.
    """
    candidate = path
    for number in range(2, _MAX_NAMES):
        try:
            return reserve(candidate)
        except BadInputError:
            if not os.path.lexists(candidate):
                raise
        candidate = path.with_name(f"{path.stem}-{number}{path.suffix}")
    raise in_the_way(path)


def in_the_way(path: Path) -> BadInputError:
    """Return the error for a path where something is already."""
    if not path.is_file():
        what = "is a folder" if path.is_dir() else "is not a regular file"
        return BadInputError(f"{path}: {what}", remedy="give the name of a new file to --output, or - for stdout")
    if path.stat().st_size == 0:
        return BadInputError(f"{path}: exists and is empty", remedy="delete it, or give another --output")
    torn = ", its last line torn" if _is_torn(path) else ""
    return BadInputError(f"{path}: exists{torn}", remedy="go on with it by --resume, or give another --output")


def is_same_file(fd: int, path: Path) -> bool:
    """Return whether a path leads to the file that is open."""
    try:
        return os.path.samestat(os.fstat(fd), path.stat())
    except OSError:
        return False


def _reserve(path: Path) -> NewFile:
    _refuse_unusable(path)
    made_folders = _make_folders(path)
    try:
        fd, is_made = _open_reserved(path)
    except BaseException:
        _remove_folders(made_folders)
        raise
    return NewFile(fd=fd, path=path, is_made=is_made, made_folders=made_folders)


def _refuse_unusable(path: Path) -> None:
    if os.path.lexists(path):
        return  # what it is will be seen when it is opened
    folder = next(parent for parent in path.absolute().parents if parent.exists())
    if not folder.is_dir():
        raise BadInputError(f"{path}: {folder} is not a folder", remedy=_ANOTHER)
    if not os.access(folder, os.W_OK | os.X_OK):
        raise BadInputError(f"{path}: the folder {folder} cannot be written to", remedy=_ANOTHER)


def _make_folders(path: Path) -> tuple[Path, ...]:
    missing = [parent for parent in path.parents if not parent.exists()]
    made: list[Path] = []
    for folder in reversed(missing):
        try:
            folder.mkdir()
        except FileExistsError:  # somebody else made it just now
            continue
        except OSError:
            _remove_folders(tuple(made))
            raise
        made.append(folder)
    return tuple(made)


def _remove_folders(made: tuple[Path, ...]) -> None:
    for folder in reversed(made):
        with suppress(OSError):  # somebody else has put something there
            folder.rmdir()


def _open_reserved(path: Path) -> tuple[int, bool]:
    """Return a locked descriptor of an empty file, and whether the file is new."""
    for _ in range(_MAX_TRIES):
        is_made = True
        try:
            fd = os.open(path, NEW_FILE_FLAGS, 0o666)
        except FileExistsError:
            is_made = False
            fd = _open_there(path)
        try:
            if _is_taken_now(fd, path):
                return fd, is_made
        except BaseException as error:
            is_held = isinstance(error.__cause__, BlockingIOError)  # by a sweep that was faster to lock it
            _give_up(fd, path, is_made=is_made and not is_held)
            raise
        os.close(fd)
    raise in_the_way(path)


def _is_taken_now(fd: int, path: Path) -> bool:
    """Lock an open file; False where whoever had it has removed it meanwhile."""
    lock_for_writing(fd, path)
    if not is_same_file(fd, path):
        return False
    if os.fstat(fd).st_size:
        raise in_the_way(path)
    return True


def _give_up(fd: int, path: Path, *, is_made: bool) -> None:
    if is_made and is_same_file(fd, path) and os.fstat(fd).st_size == 0:
        with suppress(OSError):
            path.unlink()
    os.close(fd)


def _open_there(path: Path) -> int:
    """Open a file that is there, to see whether somebody writes it.

    Raises:
        BadInputError: It is no file that could be taken.
    """
    if not path.is_file():
        raise in_the_way(path)
    try:
        return os.open(path, os.O_RDWR | os.O_APPEND | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise in_the_way(path) from error


def _is_torn(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            file.seek(-1, os.SEEK_END)
            return file.read(1) != b"\n"
    except OSError:
        return False  # it cannot be read: enough that it exists
