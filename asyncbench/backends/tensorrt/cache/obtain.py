"""Get an engine: from the cache, from another process that is building it, or by building it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

import trio

from asyncbench.backends.tensorrt.cache.folder import EngineFolder
from asyncbench.backends.tensorrt.cache.identity import EngineIdentity, explain_difference
from asyncbench.backends.tensorrt.cache.inventory import list_engines
from asyncbench.backends.tensorrt.cache.sidecar import BuildFacts
from asyncbench.backends.tensorrt.cache.store import Absent, HeadCheck, StoredEngine, commit, look_up, quarantine
from asyncbench.files.file_lock import hold_lock


async def obtain_engine(
    folder: EngineFolder,
    identity: EngineIdentity,
    *,
    label: str,
    build: Callable[[Path], Awaitable[BuildFacts]],
    report: Callable[[str], None],
    check_head: HeadCheck = lambda _head: None,
) -> StoredEngine:
    """Return a verified engine of `identity`; build it if there is none, once however many processes ask.

    Cancelling is safe at any time: nothing is committed and the temporary file is removed.

    Args:
        label: What people call it, such as `mobilenet fp16 batch 1..16`.
        build: Writes the engine to the path that it is given.
        report: Takes one line for people: why something is built, or what is waited for.
        check_head: Says why an engine with these first bytes cannot be used here, or None.

    Raises:
        OutputError: The cache folder cannot be written.
    """
    await trio.to_thread.run_sync(folder.create)
    found = await trio.to_thread.run_sync(look_up, folder, identity, check_head)
    if isinstance(found, StoredEngine):
        return found
    key = identity.key()
    async with hold_lock(
        folder.lock_path(key), on_wait=lambda: report(f"{label}: another process is building it; waiting")
    ):
        # Whoever held the lock before us has probably built it.
        found = await trio.to_thread.run_sync(look_up, folder, identity, check_head)
        if isinstance(found, StoredEngine):
            return found
        reason = await trio.to_thread.run_sync(_make_room, folder, identity, found)
        report(f"{label}: building an engine{f' ({reason})' if reason else ''}")
        return await _build(folder, identity, label=label, build=build, reason=reason, report=report)


async def reject_engine(folder: EngineFolder, engine: StoredEngine, reason: str) -> None:
    """Quarantine an engine that was whole and that the runtime refused all the same; asking again builds it anew."""
    key = engine.sidecar.key
    async with hold_lock(folder.lock_path(key), on_wait=lambda: None):
        await trio.to_thread.run_sync(quarantine, folder, key, reason)


def _make_room(folder: EngineFolder, identity: EngineIdentity, found: Absent) -> str:
    for leftover in folder.root.glob(f"{identity.key()}.*.tmp"):
        leftover.unlink(missing_ok=True)  # we hold the lock, so its builder is dead
    if found.damage:
        quarantine(folder, identity.key(), found.damage)
        return f"the stored one was put into quarantine: {found.damage}"
    return explain_difference(identity, (listed.sidecar.identity for listed in list_engines(folder)))


async def _build(
    folder: EngineFolder,
    identity: EngineIdentity,
    *,
    label: str,
    build: Callable[[Path], Awaitable[BuildFacts]],
    reason: str,
    report: Callable[[str], None],
) -> StoredEngine:
    temporary = folder.temporary_path(identity.key())
    try:
        async with hold_lock(
            folder.builder_lock_path(), on_wait=lambda: report(f"{label}: another engine is being built; waiting")
        ):
            facts = await build(temporary)
        sidecar = await trio.to_thread.run_sync(lambda: commit(folder, identity, temporary, label=label, build=facts))
    finally:
        temporary.unlink(missing_ok=True)
    path = folder.engine_path(identity.key())
    return StoredEngine(path=path, sidecar=sidecar, freshly_built=True, replaced=reason)
