"""Files that are written whole or not at all, and the folders for them."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from asyncbench.errors import BadInputError, OutputError
from asyncbench.files.durable_file import replace_durably


def create_folder(folder: Path) -> None:
    """Create a folder of the cache, and those above it, where they are missing. Blocking.

    Raises:
        OutputError: It cannot be created.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot create {folder} ({error.strerror})", remedy="set ASYNCBENCH_CACHE") from error


def refuse_present(path: Path, *, forced: bool) -> None:
    """Refuse a path where something is already, before any work is done for it. Blocking.

    Args:
        forced: Files may be replaced; nothing else may.

    Raises:
        BadInputError: Something is there.
        OutputError: It is not known what is there, or no file.
    """
    if _find_target(path).exists() and not forced:
        raise BadInputError(f"{path} is there already", remedy="name another file, or use --force")


def write_whole(path: Path, data: bytes) -> None:
    """Write `data` beside the file that `path` is or leads to, then rename it into place. Blocking.

    Raises:
        OutputError: It cannot be written, or is no file but a folder, a pipe or a device; `path` is as it was, and
            nothing is left beside it.
    """
    target = _find_target(path)
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        temporary.write_bytes(data)
        replace_durably(temporary, target)
    except OSError as error:
        raise _cannot_write(path, error.strerror) from error
    finally:
        with suppress(OSError):  # it is there only where writing failed, and then that is what to report
            temporary.unlink()


def _find_target(path: Path) -> Path:
    """Return the file that symbolic links lead to, or where it will be: renaming to a link would replace the link."""
    try:
        # First, because the name of what /dev/stdout leads to need not be one that can be looked up.
        if path.exists() and not path.is_file():
            raise OutputError(f"cannot write {path}: it is not a regular file", remedy="name another file")
        target = Path(os.path.realpath(path))
        if target.is_symlink():
            raise OutputError(f"cannot write {path}: its symbolic links lead in a circle", remedy="name another file")
    except OSError as error:
        raise _cannot_write(path, error.strerror) from error
    return target


def _cannot_write(path: Path, reason: str | None) -> OutputError:
    return OutputError(f"cannot write {path} ({reason})", remedy="name a file in a folder that exists and has room")
