"""Pictures and labels brought together: what has no counterpart is left out by name, what contradicts is refused."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from asyncbench.datasets.dataset import Item, LeftOut
from asyncbench.errors import BadInputError

NO_LABEL = "it has no label"
NO_FILE = "its label has no file"
_SHOWN_DIGITS = 20  # labels.json may hold thousands


def match_labels(
    pictures: Mapping[str, Path], labels: Mapping[str, tuple[int, ...]]
) -> tuple[tuple[Item, ...], tuple[LeftOut, ...]]:
    """Return the pictures that have labels, sorted by name, and what was left out on either side.

    Args:
        pictures: Paths by name.
        labels: Classes by name of the picture.
    """
    items = tuple(
        Item(name=name, path=pictures[name], classes=labels[name]) for name in sorted(pictures.keys() & labels.keys())
    )
    unlabelled = [LeftOut(name=name, reason=NO_LABEL) for name in sorted(pictures.keys() - labels.keys())]
    missing = [LeftOut(name=name, reason=NO_FILE) for name in sorted(labels.keys() - pictures.keys())]
    return items, (*unlabelled, *missing)


def collect_once(entries: Iterable[tuple[str, tuple[int, ...]]], source: Path) -> dict[str, tuple[int, ...]]:
    """Return the labels by name.

    Raises:
        BadInputError: A picture is listed twice: which label holds?
    """
    labels: dict[str, tuple[int, ...]] = {}
    for name, classes in entries:
        if name in labels:
            raise BadInputError(f"{source} lists {name} twice", remedy="keep one line of each picture")
        labels[name] = classes
    return labels


def check_range(labels: Mapping[str, Sequence[int]], source: Path, *, class_count: int) -> None:
    """Refuse labels that no output of the network stands for.

    Raises:
        BadInputError: A label is not in 0..class_count - 1; it is named, and a count from 1 is recognized.
    """
    every = [label for classes in labels.values() for label in classes]
    from_one = bool(every) and min(every) >= 1 and max(every) == class_count
    for name, classes in labels.items():
        for label in classes:
            if not 0 <= label < class_count:
                raise BadInputError(
                    f"{source}: the label {str(label)[:_SHOWN_DIGITS]} of {name} is not in 0..{class_count - 1}",
                    remedy="the labels count from 1: subtract 1, if they are in the order of the sorted synsets"
                    if from_one
                    else "correct it, or name the right file",
                )
