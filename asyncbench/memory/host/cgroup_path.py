"""Paths of the control groups of this process that limit its memory and its processor time.

Source: cgroups(7), cgroup_namespaces(7), and proc(5) for the fields of mountinfo.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from asyncbench.text_enum import TextEnum

_OCTAL = re.compile(r"\\([0-7]{3})")
_FIELDS_BEFORE_DASH = 6
_FIELDS_AFTER_DASH = 3


class CgroupVersion(TextEnum):
    """The two interfaces of the kernel."""

    V1 = "v1"
    V2 = "v2"


@dataclass(frozen=True, slots=True, kw_only=True)
class CgroupMount:
    """One hierarchy of groups as it can be seen here.

    Attributes:
        controllers: Those of version 1 that are on it; none on version 2, which does not tell here.
        top: The group that is at the mount point; in a container usually not `/`.
        point: The mount point.
    """

    version: CgroupVersion
    controllers: frozenset[str]
    top: PurePosixPath
    point: PurePosixPath


@dataclass(frozen=True, slots=True, kw_only=True)
class Membership:
    """One line of /proc/self/cgroup: the group of this process in one hierarchy."""

    version: CgroupVersion
    controllers: frozenset[str]
    group: PurePosixPath


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupFolder:
    """A group that exists: its name below the top of its hierarchy, and its folder."""

    version: CgroupVersion
    name: str
    path: Path


def find_memory_groups(root: Path) -> tuple[GroupFolder, ...]:
    """Return the group of this process that limits its memory, and then its parents as far as they can be seen.

    On a hybrid machine the memory controller is on version 1 and the groups of version 2 limit nothing. Inside a
    namespace the own group may be outside of what is mounted: then the group at the mount point is what we can know.

    Args:
        root: `/`, or a fake tree.
    """
    return find_groups(root, "memory")


def find_cpu_groups(root: Path) -> tuple[GroupFolder, ...]:
    """Return the group of this process that limits its processor time, and then its parents; see `find_memory_groups`.

    On version 1 that is the controller `cpu`, mounted alone or as `cpu,cpuacct`.
    """
    return find_groups(root, "cpu")


def find_groups(root: Path, controller: str) -> tuple[GroupFolder, ...]:
    """Return the groups of this process that a controller such as `pids` limits; see `find_memory_groups`."""
    memberships = parse_memberships(_text(root / "proc/self/cgroup"))
    first = [own for own in memberships if controller in own.controllers]
    return _find(root, controller, first or [own for own in memberships if own.version is CgroupVersion.V2])


def find_pressure_group(root: Path) -> GroupFolder | None:
    """Return the own group of version 2, the only one whose stalls the kernel counts; also on hybrid machines."""
    memberships = parse_memberships(_text(root / "proc/self/cgroup"))
    found = _find(root, "memory", [own for own in memberships if own.version is CgroupVersion.V2])
    return found[0] if found else None


def find_memory_top(root: Path) -> GroupFolder | None:
    """Return the group at the mount point of the hierarchy that limits memory, or None where none is mounted."""
    found = find_memory_groups(root)
    return found[-1] if found else None


def parse_mounts(mountinfo: str) -> list[CgroupMount]:
    """Return the mounted hierarchies of control groups; lines that are cut short are left out."""
    return [mount for mount in map(_parse_mount, mountinfo.splitlines()) if mount is not None]


def parse_memberships(memberships: str) -> list[Membership]:
    """Return what /proc/self/cgroup says; lines that are cut short are left out."""
    fields = [line.split(":", 2) for line in memberships.splitlines()]
    return [
        Membership(
            version=CgroupVersion.V2 if (number, controllers) == ("0", "") else CgroupVersion.V1,
            controllers=frozenset(filter(None, controllers.split(","))),
            group=PurePosixPath(group),
        )
        for number, controllers, group in (line for line in fields if len(line) == 3)  # noqa: PLR2004 - number, controllers, group
        if group.startswith("/")
    ]


def _parse_mount(line: str) -> CgroupMount | None:
    before, _, after = line.partition(" - ")
    mount, kind = before.split(), after.split()
    if len(mount) < _FIELDS_BEFORE_DASH or len(kind) < _FIELDS_AFTER_DASH or kind[0] not in {"cgroup", "cgroup2"}:
        return None
    version = CgroupVersion.V2 if kind[0] == "cgroup2" else CgroupVersion.V1
    return CgroupMount(
        version=version,
        controllers=frozenset(kind[2].split(",")) if version is CgroupVersion.V1 else frozenset(),
        top=PurePosixPath(_unescape(mount[3])),
        point=PurePosixPath(_unescape(mount[4])),
    )


def _find(root: Path, controller: str, memberships: Sequence[Membership]) -> tuple[GroupFolder, ...]:
    mounts = parse_mounts(_text(root / "proc/self/mountinfo"))
    fitting = [
        (mount, _below(mount, own.group))
        for own in memberships
        for mount in mounts
        if mount.version is own.version and (controller in mount.controllers) is (controller in own.controllers)
    ]
    if not fitting:
        return ()
    mount, below = next((seen for seen in fitting if seen[1] is not None), fitting[0])
    return tuple(_existing(root, mount, below or PurePosixPath()))


def _below(mount: CgroupMount, group: PurePosixPath) -> PurePosixPath | None:
    """Return the path from the mount point to the group, or None where it is not in what is mounted."""
    if ".." in group.parts or not group.is_relative_to(mount.top):
        return None
    return group.relative_to(mount.top)


def _existing(root: Path, mount: CgroupMount, below: PurePosixPath) -> Iterator[GroupFolder]:
    point = root / mount.point.relative_to("/")
    for step in _with_parents(below):
        if (point / step).is_dir():
            yield GroupFolder(version=mount.version, name=str(mount.top / step), path=point / step)


def _with_parents(path: PurePosixPath) -> Iterable[PurePosixPath]:
    return dict.fromkeys((path, *path.parents))


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="surrogateescape")
    except (FileNotFoundError, NotADirectoryError, PermissionError):
        return ""


def _unescape(field: str) -> str:
    return _OCTAL.sub(lambda octal: chr(int(octal.group(1), 8)), field)
