"""Images and labels brought together: what has no counterpart is left out by name, what contradicts is refused."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path

from asyncbench.accuracy.datasets.dataset import Item, LeftOut
from asyncbench.errors import BadInputError
from asyncbench.models.image_names import NameMatch, match_names, shown_name

NO_LABEL = "it has no label"
NO_FILE = "its label has no file"
CONTESTED_IMAGE = "several listed names end in its name, in other folders"
CONTESTED_NAME = "other listed names end in the same name, in other folders"
_SHOWN_DIGITS = 20  # labels.json may hold thousands


def match_labels(
    images: Mapping[str, Path], labels: Mapping[str, tuple[int, ...]], *, source: Path
) -> tuple[tuple[Item, ...], tuple[LeftOut, ...]]:
    """Return the images that have labels, sorted by name, and what was left out on either side.

    Args:
        images: Paths by name.
        labels: Classes by what the file calls the image.
        source: The file.

    Raises:
        BadInputError: An image is listed twice, in two spellings.
    """
    match = match_names(labels, images, source=source)
    items = tuple(
        Item(name=name, path=images[name], classes=labels[listed]) for name, listed in sorted(match.listed.items())
    )
    return items, without_counterpart(match, images, labels, unlisted=NO_LABEL)


def without_counterpart(
    match: NameMatch, images: Collection[str], listed: Collection[str], *, unlisted: str
) -> tuple[LeftOut, ...]:
    """Return the images that no name means, and the names that mean no image, by name.

    Args:
        unlisted: Why an image that is not listed is left out.
    """
    contested = {name for names in match.contested.values() for name in names}
    return (
        *(
            LeftOut(name=name, reason=CONTESTED_IMAGE if name in match.contested else unlisted)
            for name in sorted(set(images) - match.listed.keys())
        ),
        *(
            LeftOut(name=name, reason=CONTESTED_NAME if name in contested else NO_FILE)
            for name in sorted(set(listed) - set(match.listed.values()))
        ),
    )


def collect_once(entries: Iterable[tuple[str, tuple[int, ...]]], source: Path) -> dict[str, tuple[int, ...]]:
    """Return the labels by name.

    Raises:
        BadInputError: An image is listed twice: which label holds?
    """
    labels: dict[str, tuple[int, ...]] = {}
    for name, classes in entries:
        if name in labels:
            raise BadInputError(f"{source} lists {shown_name(name)} twice", remedy="keep one line of each image")
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
                which = f"{str(label)[:_SHOWN_DIGITS]} of {shown_name(name)}"
                raise BadInputError(
                    f"{source}: the label {which} is not in 0..{class_count - 1}",
                    remedy="the labels count from 1: subtract 1, if they are in the order of the sorted synsets"
                    if from_one
                    else "correct it, or name the right file",
                )
