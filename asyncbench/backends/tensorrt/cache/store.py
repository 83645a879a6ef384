"""Look up, verify, commit and quarantine engines. Everything here blocks: call it in a worker thread."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from asyncbench.backends.tensorrt.cache.folder import EngineFolder
from asyncbench.backends.tensorrt.cache.identity import EngineIdentity
from asyncbench.backends.tensorrt.cache.sidecar import BuildFacts, Sidecar, decode_sidecar, encode_sidecar
from asyncbench.clock import utc_now_text
from asyncbench.errors import EngineBuildError
from asyncbench.files.durable_file import cannot_store, replace_durably, write_durably
from asyncbench.files.hash import sha256_of

# Says why an engine that starts with these bytes cannot be used here, or None.
HeadCheck = Callable[[bytes], str | None]
HEAD_BYTES = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredEngine:
    """An engine whose bytes are what its builder wrote.

    Attributes:
        freshly_built: True if it was built for this caller rather than found.
        replaced: Why the engine that lay there before was not used; empty if none did.
    """

    path: Path
    sidecar: Sidecar
    freshly_built: bool = False
    replaced: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Absent:
    """No usable engine.

    Attributes:
        damage: What is wrong with the files that are there; empty where there are none.
    """

    damage: str = ""


def look_up(folder: EngineFolder, identity: EngineIdentity, check_head: HeadCheck) -> StoredEngine | Absent:
    """Return the engine if it is there and every byte of it is what was committed. Changes nothing but its last use."""
    key = identity.key()
    try:
        text = folder.sidecar_path(key).read_bytes()
    except FileNotFoundError:
        return Absent()
    sidecar = decode_sidecar(text)
    if sidecar is None:
        return Absent(damage="its record is not readable")
    if sidecar.identity != identity:
        return Absent(damage="its record is that of another engine")
    damage = find_damage(folder.engine_path(key), sidecar, check_head)
    if damage:
        return Absent(damage=damage)
    os.utime(folder.sidecar_path(key))
    return StoredEngine(path=folder.engine_path(key), sidecar=sidecar)


def find_damage(path: Path, sidecar: Sidecar, check_head: HeadCheck) -> str:
    """Return what is wrong with an engine file, or nothing."""
    try:
        size_bytes = path.stat().st_size
        if size_bytes != sidecar.engine_bytes:
            return f"it has {size_bytes} of {sidecar.engine_bytes} bytes"
        with path.open("rb") as stream:
            complaint = check_head(stream.read(HEAD_BYTES))
    except FileNotFoundError:
        return "its file is missing"
    if complaint:
        return complaint
    return "" if sha256_of([path]) == sidecar.engine_sha256 else "its checksum differs"


def quarantine(folder: EngineFolder, key: str, reason: str) -> None:
    """Move an engine out of the way, with the reason beside it. At most one is kept per key. Needs the key's lock."""
    place = folder.quarantine()
    # The sidecar goes first: without it, what is left behind by a crash here is no engine.
    for path in (folder.sidecar_path(key), folder.engine_path(key)):
        if path.exists():
            path.replace(place / path.name)
    (place / f"{key}.reason").write_text(f"{utc_now_text()} {reason}\n", encoding="utf-8")


def commit(
    folder: EngineFolder, identity: EngineIdentity, temporary: Path, *, label: str, build: BuildFacts
) -> Sidecar:
    """Make a finished build an engine of the cache. Needs the key's lock.

    Raises:
        EngineBuildError: The builder wrote nothing.
        OutputError: The disk is full or the folder cannot be written.
    """
    key = identity.key()
    try:
        sidecar = Sidecar(
            key=key,
            label=label,
            identity=identity,
            engine_sha256=sha256_of([temporary]),
            engine_bytes=temporary.stat().st_size,
            built_at=utc_now_text(),
            build=build,
        )
        replace_durably(temporary, folder.engine_path(key))
    except FileNotFoundError as error:
        raise EngineBuildError(f"the builder of {label} left no engine", remedy="see its messages with -v") from error
    except OSError as error:
        raise cannot_store(folder.engine_path(key), error) from error
    write_durably(folder.sidecar_path(key), encode_sidecar(sidecar))
    return sidecar
