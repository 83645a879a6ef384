"""Which picture a list of labels means: lists name pictures by other folders, and with Windows' backslashes."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path

from asyncbench.errors import BadInputError

MAX_NAME_CHARS = 4096
"""Of a path on Linux: what is longer is no name."""
_SHOWN_CHARS = 120


@dataclass(frozen=True, slots=True, kw_only=True)
class NameMatch:
    """Names of a list and the pictures that they mean.

    Attributes:
        listed: The name in the list, by the picture's own.
        contested: Several names of the list that end in the picture's name and all begin otherwise than its path, by
            the picture's own: which of them it is nobody can tell.
    """

    listed: Mapping[str, str]
    contested: Mapping[str, tuple[str, ...]]


def match_names(listed: Collection[str], pictures: Mapping[str, Path], *, source: Path) -> NameMatch:
    r"""Return which picture each listed name means.

    A name means the picture of that name, or the one whose path ends in it (`val2017/a.jpg`, `.\val2017\a.jpg`). Where
    there is none it means the picture of the same last part, if it is the only such name and there is one such picture.

    Args:
        listed: Names as the list has them, each once.
        pictures: Paths by name.
        source: The list, for the message.

    Raises:
        BadInputError: Two of them mean one picture by its path, or one is too long for a name.
    """
    surely: dict[str, list[str]] = defaultdict(list)
    perhaps: dict[str, list[str]] = defaultdict(list)
    by_last_part: dict[str, list[str]] = defaultdict(list)
    for picture in pictures:
        by_last_part[_parts(picture)[-1]].append(picture)
    for name in listed:
        _check_length(name, source)
        parts = (name,) if name in pictures else _parts(name)
        same_last_part = [name] if name in pictures else by_last_part.get(parts[-1], [])
        by_path = [picture for picture in same_last_part if _ends_in(pictures[picture], parts)]
        meant = by_path or same_last_part
        if len(meant) == 1:
            (surely if by_path or name in pictures else perhaps)[meant[0]].append(name)
    for picture, names in surely.items():
        if len(names) > 1:
            raise BadInputError(
                f"{source} lists {picture} {len(names)} times, as {' and as '.join(map(shown_name, names))}",
                remedy="keep one entry of each picture",
            )
    left = {picture: names for picture, names in perhaps.items() if picture not in surely}
    return NameMatch(
        listed={picture: names[0] for picture, names in (*surely.items(), *left.items()) if len(names) == 1},
        contested={picture: tuple(names) for picture, names in left.items() if len(names) > 1},
    )


def shown_name(name: str) -> str:
    """Return a name for a message: on one line and not too long, whatever a list of labels calls a picture."""
    short = name if len(name) <= _SHOWN_CHARS else f"{name[:_SHOWN_CHARS]}…"
    return short if short.isprintable() else ascii(short)


def _check_length(name: str, source: Path) -> None:
    if len(name) > MAX_NAME_CHARS:
        raise BadInputError(
            f"{source} has a name of {len(name)} characters, {shown_name(name)}",
            remedy="correct it, or name the right file",
        )


def _parts(name: str) -> tuple[str, ...]:
    parts = tuple(part for part in name.replace("\\", "/").split("/") if part not in ("", "."))
    return parts or (name,)


def _ends_in(path: Path, parts: tuple[str, ...]) -> bool:
    if len(parts) == 1:
        return path.name == parts[0]
    return Path(os.path.abspath(path)).parts[-len(parts) :] == parts  # noqa: PTH100 # resolve() follows links
