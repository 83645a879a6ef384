"""Remove engines that nobody needs: decided by a pure function, done under the lock of each engine. Blocks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from asyncbench.backends.tensorrt.cache.folder import EngineFolder
from asyncbench.backends.tensorrt.cache.inventory import ListedEngine, list_engines
from asyncbench.files.file_lock import hold_lock_nowait
from asyncbench.units import format_duration


@dataclass(frozen=True, slots=True, kw_only=True)
class PrunePolicy:
    """Rules of what may go; a rule that is None removes nothing.

    Attributes:
        unused_for_ns: Remove what was not used for so long.
        max_bytes: Then remove the longest unused until the rest fits.
        keep_version: Remove what another version than this one built, as `tensorrt 8.6.0`.
    """

    unused_for_ns: int | None = None
    max_bytes: int | None = None
    keep_version: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Victim:
    """An engine to remove, and why."""

    key: str
    label: str
    engine_bytes: int
    reason: str


def choose_victims(engines: Sequence[ListedEngine], policy: PrunePolicy, *, now_ns: int) -> tuple[Victim, ...]:
    """Return what the policy removes of `engines`, longest unused first.

    Args:
        now_ns: On the clock of `ListedEngine.used_at_ns`.
    """
    victims = []
    left_bytes = sum(one.sidecar.engine_bytes for one in engines)
    for one in sorted(engines, key=lambda one: one.used_at_ns):
        reason = _reason_to_remove(one, policy, now_ns=now_ns, left_bytes=left_bytes)
        if reason:
            left_bytes -= one.sidecar.engine_bytes
            victims.append(_victim(one, reason))
    return tuple(victims)


def prune(folder: EngineFolder, policy: PrunePolicy, *, now_ns: int) -> tuple[Victim, ...]:
    """Remove what the policy says, what lies in quarantine and what dead builders left; return the engines removed.

    An engine that is being built or looked up under its lock stays.
    """
    removed = tuple(
        victim for victim in choose_victims(list_engines(folder), policy, now_ns=now_ns) if _remove(folder, victim.key)
    )
    for path in folder.quarantine().glob("*"):
        path.unlink(missing_ok=True)
    _remove_leftovers(folder)
    return removed


def _reason_to_remove(one: ListedEngine, policy: PrunePolicy, *, now_ns: int, left_bytes: int) -> str:
    identity = one.sidecar.identity
    version = f"{identity.flavour} {identity.flavour_version}"
    unused_ns = now_ns - one.used_at_ns
    if policy.keep_version is not None and version != policy.keep_version:
        return f"built by {version}"
    if policy.unused_for_ns is not None and unused_ns >= policy.unused_for_ns:
        return f"unused for {format_duration(unused_ns)}"
    if policy.max_bytes is not None and left_bytes > policy.max_bytes:
        return "the cache is too large"
    return ""


def _victim(one: ListedEngine, reason: str) -> Victim:
    sidecar = one.sidecar
    return Victim(key=sidecar.key, label=sidecar.label, engine_bytes=sidecar.engine_bytes, reason=reason)


def _remove(folder: EngineFolder, key: str) -> bool:
    with hold_lock_nowait(folder.lock_path(key)) as held:
        if held:
            # The sidecar first: an engine without it does not count. The lock file last, while it is still held.
            for path in (folder.sidecar_path(key), folder.engine_path(key), folder.lock_path(key)):
                path.unlink(missing_ok=True)
        return held


def _remove_leftovers(folder: EngineFolder) -> None:
    for path in folder.root.glob(f"{'[0-9a-f]' * 64}.*tmp"):
        key = path.name.split(".")[0]
        with hold_lock_nowait(folder.lock_path(key)) as held:
            if held:
                path.unlink(missing_ok=True)
                if not folder.sidecar_path(key).exists():
                    folder.lock_path(key).unlink(missing_ok=True)
