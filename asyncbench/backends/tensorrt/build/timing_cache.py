"""Kernel timings in a file that builds share, also builds of several processes at once."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from asyncbench.files.durable_file import write_durably


def read_timing_cache(path: Path | None) -> bytes:
    """Return the serialized timings, or nothing where there are none yet."""
    if path is None or not path.exists():
        return b""
    return path.read_bytes()


def add_to_timing_cache(path: Path | None, merge: Callable[[bytes], bytes]) -> None:
    """Replace the file by what `merge` makes of its present contents.

    Two builds that do this in the same instant lose the timings of one, never the file; builds take turns anyway.

    Raises:
        OutputError: The folder cannot be written.
    """
    if path is None:
        return
    merged = merge(read_timing_cache(path))
    if merged:
        write_durably(path, merged)
