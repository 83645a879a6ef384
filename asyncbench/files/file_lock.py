"""Locks between processes: one builder per engine, and one build at a time on a machine."""

from __future__ import annotations

import fcntl
import os
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import trio

from asyncbench.files.durable_file import cannot_store

# A build takes seconds to minutes; nobody notices a twentieth of a second. Waiting in a thread instead could not be
# cancelled: the thread would take the lock later, for nobody.
_POLL_S = 0.05


@asynccontextmanager
async def hold_lock(path: Path, *, on_wait: Callable[[], None]) -> AsyncIterator[None]:
    """Hold the lock named by `path` against all other holders, in this process and in others.

    The kernel releases it when the holder dies, however it dies.

    Args:
        on_wait: Called once if somebody else has it.

    Raises:
        OutputError: The folder cannot be written.
    """
    descriptor = _try_lock(path)
    if descriptor is None:
        on_wait()
    while descriptor is None:
        await trio.sleep(_POLL_S)
        descriptor = _try_lock(path)
    try:
        yield
    finally:
        os.close(descriptor)


@contextmanager
def hold_lock_nowait(path: Path) -> Iterator[bool]:
    """Yield True while holding the lock, or False at once if somebody else has it."""
    descriptor = _try_lock(path)
    try:
        yield descriptor is not None
    finally:
        if descriptor is not None:
            os.close(descriptor)


def _try_lock(path: Path) -> int | None:
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise cannot_store(path, error) from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if _is_still_there(path, descriptor):
            return descriptor
    except BlockingIOError:
        pass
    os.close(descriptor)
    return None


def _is_still_there(path: Path, descriptor: int) -> bool:
    # Whoever prunes removes lock files while holding them: a lock on a removed file excludes nobody.
    try:
        return path.stat().st_ino == os.fstat(descriptor).st_ino
    except FileNotFoundError:
        return False
