"""Hashes of files: engines, models and tables go into records and caches by their hash."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

_CHUNK_BYTES = 1 << 20


def sha256_of(paths: Iterable[Path]) -> str:
    """Return the SHA-256 of the files one after the other, 64 hex digits; none of them is held in memory. Blocks."""
    digest = hashlib.sha256()
    for path in paths:
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK_BYTES):
                digest.update(chunk)
    return digest.hexdigest()
