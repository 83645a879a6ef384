"""Memory control groups from Trio."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import trio

from asyncbench.memory.host.limited_group import LimitedGroup, open_limited_group


@asynccontextmanager
async def open_group(limit_bytes: int) -> AsyncIterator[LimitedGroup]:
    """Make a group on a thread, and remove it on one, whatever happened.

    Raises:
        BackendUnavailableError: Groups cannot be made here.
    """
    manager = open_limited_group(limit_bytes=limit_bytes)
    # Shielded: a group that was made while being cancelled would stay.
    with trio.CancelScope(shield=True):
        group = await trio.to_thread.run_sync(manager.__enter__)
    try:
        yield group
    finally:
        with trio.CancelScope(shield=True):
            await trio.to_thread.run_sync(manager.__exit__, None, None, None)
