"""Writes the files of this package whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path

from asyncbench.engine_cache.durable_file import replace_durably
from asyncbench.errors import OutputError


def write_whole(path: Path, data: bytes) -> None:
    """Write `data` beside `path`, then rename it into place. Blocking.

    Raises:
        OutputError: It cannot be written; `path` is as it was, and nothing is left beside it.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        temporary.write_bytes(data)
        replace_durably(temporary, path)
    except OSError as error:
        raise OutputError(
            f"cannot write {path} ({error.strerror})", remedy="name a file in a folder that exists and has room"
        ) from error
    finally:
        temporary.unlink(missing_ok=True)
