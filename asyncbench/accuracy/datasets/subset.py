"""The part of a dataset that is used: declared on the command line, canonical in the record."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from asyncbench.accuracy.datasets.dataset import Dataset, Item
from asyncbench.accuracy.datasets.truth_file import read_truth
from asyncbench.errors import BadInputError
from asyncbench.models.image_names import match_names, shown_name

_FORMS = "write `all`, `first 5 per class`, `every 10th`, or `@names.txt` with one name a line"
_FIRST = re.compile(r"first ([1-9][0-9]{0,8}) per class")
_EVERY = re.compile(r"every ([1-9][0-9]{0,8})(?:st|nd|rd|th)")
_TEENS = range(11, 14)
_ENDINGS = {1: "st", 2: "nd", 3: "rd"}
_NAMED_AT_MOST = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class All:
    """Every image."""

    def __str__(self) -> str:
        return "all"


@dataclass(frozen=True, slots=True, kw_only=True)
class FirstPerClass:
    """The first images of each class, by name. `first 5 per class` of ILSVRC2012 are the predecessor's 5000."""

    count: int

    def __str__(self) -> str:
        return f"first {self.count} per class"


@dataclass(frozen=True, slots=True, kw_only=True)
class EveryNth:
    """The first image, and each that follows `step` after one that was taken."""

    step: int

    def __str__(self) -> str:
        ending = "th" if self.step % 100 in _TEENS else _ENDINGS.get(self.step % 10, "th")
        return f"every {self.step}{ending}"


@dataclass(frozen=True, slots=True, kw_only=True)
class NamesIn:
    """The images that a file names, one a line; empty lines and those that start with `#` are left out."""

    path: Path

    def __str__(self) -> str:
        return f"@{self.path}"


Subset = All | FirstPerClass | EveryNth | NamesIn


def parse_subset(text: str) -> Subset:
    """Return what `text` declares; `str` of it is the canonical form. Upper case and spaces do not matter but in paths.

    Raises:
        BadInputError: It is none of the forms.
    """
    if text.strip().startswith("@") and len(text.strip()) > 1:
        return NamesIn(path=Path(text.strip()[1:]))
    words = " ".join(text.lower().split())
    if words == "all":
        return All()
    if match := _FIRST.fullmatch(words):
        return FirstPerClass(count=int(match.group(1)))
    if match := _EVERY.fullmatch(words):
        return EveryNth(step=int(match.group(1)))
    raise BadInputError(f"{text!r} is not a subset", remedy=_FORMS)


def choose(dataset: Dataset, subset: Subset) -> Dataset:
    """Return the part of `dataset` that `subset` declares, in the order of the dataset. Blocking: may read a list.

    Raises:
        BadInputError: The dataset has no classes to choose by, or the list names what is not there or names it twice.
    """
    if isinstance(subset, All):
        return dataset
    if isinstance(subset, NamesIn):
        chosen = _named(dataset, subset.path)
    elif isinstance(subset, EveryNth):
        chosen = dataset.items[:: subset.step]
    else:
        chosen = _first_per_class(dataset, subset)
    return replace(dataset, items=chosen, subset=str(subset))


def _first_per_class(dataset: Dataset, subset: FirstPerClass) -> tuple[Item, ...]:
    if dataset.class_count is None:
        raise BadInputError(
            f"{subset}: the images in {dataset.folder} have no class each", remedy="use `every 10th` or `@names.txt`"
        )
    taken: Counter[int] = Counter()
    chosen = []
    for item in dataset.items:
        if taken[item.classes[0]] < subset.count:
            taken[item.classes[0]] += 1
            chosen.append(item)
    return tuple(chosen)


def _named(dataset: Dataset, path: Path) -> tuple[Item, ...]:
    names = _read_names(path)
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise BadInputError(f"{path} names {_some(twice)} twice", remedy="name each image once")
    match = match_names(names, {item.name: item.path for item in dataset.items}, source=path)
    missing = sorted(set(names) - set(match.listed.values()))
    if missing:
        raise BadInputError(
            f"{path} names {_some(missing)}, not among the {len(dataset.items)} usable images of {dataset.folder}",
            remedy="take them out of the list, or name the folder that has them",
        )
    return tuple(item for item in dataset.items if item.name in match.listed)


def _read_names(path: Path) -> list[str]:
    text = read_truth(path, what="the list", remedy="name a text file in UTF-8")
    lines = [line.strip() for line in text.splitlines()]
    names = [line for line in lines if line and not line.startswith("#")]
    if not names:
        raise BadInputError(f"{path} names no image", remedy="write one name a line")
    return names


def _some(names: Sequence[str]) -> str:
    """Return the first few names, and how many more there are."""
    more = f" and {len(names) - _NAMED_AT_MOST} more" if len(names) > _NAMED_AT_MOST else ""
    return ", ".join(map(shown_name, names[:_NAMED_AT_MOST])) + more
