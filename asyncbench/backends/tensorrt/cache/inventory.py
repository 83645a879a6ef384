"""Inventory of the cache. Everything here blocks."""

from __future__ import annotations

from dataclasses import dataclass

from asyncbench.backends.tensorrt.cache.folder import EngineFolder
from asyncbench.backends.tensorrt.cache.sidecar import Sidecar, decode_sidecar
from asyncbench.backends.tensorrt.cache.store import find_damage
from asyncbench.errors import BadInputError


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedEngine:
    """An engine as the folder shows it, its bytes unread.

    Attributes:
        used_at_ns: When it was last built or found, on the file system's clock (since 1970).
    """

    sidecar: Sidecar
    used_at_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspection:
    """An engine after every byte of it was read.

    Attributes:
        damage: Why it would be rebuilt; empty if it is sound.
    """

    sidecar: Sidecar
    damage: str


def list_engines(folder: EngineFolder) -> tuple[ListedEngine, ...]:
    """Return the committed engines, last used first. What has no readable record is no engine."""
    listed = []
    for path in folder.root.glob("*.json"):
        try:
            sidecar, used_at_ns = decode_sidecar(path.read_bytes()), path.stat().st_mtime_ns
        except FileNotFoundError:  # pruned or quarantined by somebody else just now
            continue
        if sidecar is not None:
            listed.append(ListedEngine(sidecar=sidecar, used_at_ns=used_at_ns))
    return tuple(sorted(listed, key=lambda one: (-one.used_at_ns, one.sidecar.key)))


def inspect_engine(folder: EngineFolder, key_prefix: str) -> Inspection:
    """Return all that is known of the one engine whose key starts with `key_prefix`, and whether it is sound.

    Raises:
        BadInputError: No engine, or more than one, starts like this.
    """
    matching = [one.sidecar for one in list_engines(folder) if one.sidecar.key.startswith(key_prefix)]
    if not matching:
        raise BadInputError(
            f"no engine in {folder.root} starts with {key_prefix!r}", remedy="`asyncbench engines list` shows the keys"
        )
    if len(matching) > 1:
        raise BadInputError(
            f"{len(matching)} engines in {folder.root} start with {key_prefix!r}",
            remedy="give more of the key, as `asyncbench engines list` shows it",
        )
    sidecar = matching[0]
    damage = find_damage(folder.engine_path(sidecar.key), sidecar, lambda _head: None)
    return Inspection(sidecar=sidecar, damage=damage)
