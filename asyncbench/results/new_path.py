"""Whether a new results file can be made at a path, and what is in its way."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from asyncbench.errors import BadInputError

_ANOTHER: Final = "give another --output"
_STDOUT_NAMES: Final = ("/dev/stdout", "/dev/fd/1", "/proc/self/fd/1")


def refuse_unusable(path: Path) -> None:
    """Refuse a path where no file can be made, as far as that can be known without making it.

    Raises:
        BadInputError: Something is there, or its folder is none or cannot be written to.
    """
    try:
        _refuse_unusable(path)
    except OSError as error:
        raise BadInputError(f"{path}: cannot be made ({error.strerror})", remedy=_ANOTHER) from error


def in_the_way(path: Path) -> BadInputError:
    """Return the error for a path where something is already."""
    if str(path) in _STDOUT_NAMES:
        return BadInputError(f"{path}: records are not written to a device", remedy="give --output -, which is stdout")
    if not path.is_file():
        what = "is a folder" if path.is_dir() else "is not a regular file"
        return BadInputError(f"{path}: {what}", remedy="give the name of a new file to --output, or - for stdout")
    if path.stat().st_size == 0:
        return BadInputError(f"{path}: exists and is empty", remedy="delete it, or give another --output")
    torn = ", its last line torn" if _is_torn(path) else ""
    return BadInputError(f"{path}: exists{torn}", remedy="go on with it by --resume, or give another --output")


def _refuse_unusable(path: Path) -> None:
    if path.is_symlink() or path.exists():
        raise in_the_way(path)
    folder = next(parent for parent in path.absolute().parents if parent.exists())
    if not folder.is_dir():
        raise BadInputError(f"{path}: {folder} is not a folder", remedy=_ANOTHER)
    if not os.access(folder, os.W_OK | os.X_OK):
        raise BadInputError(f"{path}: the folder {folder} cannot be written to", remedy=_ANOTHER)


def _is_torn(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            file.seek(-1, os.SEEK_END)
            return file.read(1) != b"\n"
    except OSError:
        return False  # it cannot be read: enough that it exists
