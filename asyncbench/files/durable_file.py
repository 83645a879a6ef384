"""Files that are either whole or not there, also after a power cut."""

from __future__ import annotations

import os
from pathlib import Path

from asyncbench.errors import OutputError


def write_durably(path: Path, data: bytes) -> None:
    """Write `data` to a temporary name in the folder of `path`, force it to the disk and rename it into place.

    Raises:
        OutputError: The disk is full, or the folder cannot be written; `path` is as it was.
    """
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_bytes(data)
        replace_durably(temporary, path)
    except OSError as error:
        raise cannot_store(path, error) from error
    finally:
        temporary.unlink(missing_ok=True)


def replace_durably(temporary: Path, path: Path) -> None:
    """Force `temporary` to the disk and rename it to `path`, which must be in the same folder.

    The order matters: a rename that reaches the disk before the data would leave a whole name on half a file.
    """
    _fsync(temporary)
    temporary.replace(path)
    _fsync(path.parent)


def cannot_store(path: Path, error: OSError) -> OutputError:
    """Return the error for people when an engine's file cannot be written."""
    return OutputError(
        f"cannot write {path}: {error.strerror}",
        remedy="free space there, or name another folder in ASYNCBENCH_CACHE",
        errno=error.errno,
    )


def _fsync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
