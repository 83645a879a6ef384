"""Matching of the image names in a list to files: lists have other folders, and Windows' backslashes."""

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
    """Names of a list and the images that they mean.

    Attributes:
        listed: The name in the list, by the image's own.
        contested: Several names of the list that end in the image's name and all begin otherwise than its path, by
            the image's own: which of them it is nobody can tell.
    """

    listed: Mapping[str, str]
    contested: Mapping[str, tuple[str, ...]]


def match_names(listed: Collection[str], images: Mapping[str, Path], *, source: Path) -> NameMatch:
    r"""Return which image each listed name means.

    A name means the image of that name, or the one whose path ends in it (`val2017/a.jpg`, `.\val2017\a.jpg`). Where
    there is none it means the image of the same last part, if it is the only such name and there is one such image.

    Args:
        listed: Names as the list has them, each once.
        images: Paths by name.
        source: The list, for the message.

    Raises:
        BadInputError: Two of them mean one image by its path, or one is too long for a name.
    """
    surely: dict[str, list[str]] = defaultdict(list)
    perhaps: dict[str, list[str]] = defaultdict(list)
    by_last_part: dict[str, list[str]] = defaultdict(list)
    for image in images:
        by_last_part[_parts(image)[-1]].append(image)
    for name in listed:
        _check_length(name, source)
        parts = (name,) if name in images else _parts(name)
        same_last_part = [name] if name in images else by_last_part.get(parts[-1], [])
        by_path = [image for image in same_last_part if _ends_in(images[image], parts)]
        meant = by_path or same_last_part
        if len(meant) == 1:
            (surely if by_path or name in images else perhaps)[meant[0]].append(name)
    for image, names in surely.items():
        if len(names) > 1:
            raise BadInputError(
                f"{source} lists {image} {len(names)} times, as {' and as '.join(map(shown_name, names))}",
                remedy="keep one entry of each image",
            )
    left = {image: names for image, names in perhaps.items() if image not in surely}
    return NameMatch(
        listed={image: names[0] for image, names in (*surely.items(), *left.items()) if len(names) == 1},
        contested={image: tuple(names) for image, names in left.items() if len(names) > 1},
    )


def shown_name(name: str) -> str:
    """Return a name for a message: on one line and not too long, whatever a list of labels calls an image."""
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
