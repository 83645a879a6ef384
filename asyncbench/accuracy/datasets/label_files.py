"""Files with the classes of images: lines of `name label`, labels.json, and ILSVRC2012's devkit."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from asyncbench.accuracy.datasets.matching import collect_once
from asyncbench.accuracy.datasets.truth_file import read_truth
from asyncbench.errors import BadInputError
from asyncbench.files.json_problem import json_problem

SYNSETS_FILE = "meta.mat"
MAX_LABEL_DIGITS = 9
"""A longer number is no label: `int` takes time that grows with its square, and refuses thousands of digits."""
_IMAGE_NUMBER = re.compile(r"ILSVRC2012_val_([0-9]{8})\.[A-Za-z]+")


def read_lines(path: Path) -> list[str]:
    """Return the lines of a text file, so that line n is entry n - 1, without the blank ones at its end.

    Raises:
        BadInputError: It cannot be read, or is no text.
    """
    return read_labels(path).rstrip().splitlines()


def read_labels(path: Path) -> str:
    """Return the text of a file with labels.

    Raises:
        BadInputError: It cannot be read, or is no text.
    """
    return read_truth(path, what="the labels", remedy="name a file with labels, in UTF-8")


def read_label_list(path: Path) -> dict[str, tuple[int, ...]]:
    """Return the labels of a file with lines of `name label`, such as Caffe's and MLPerf's val.txt; blank ones may be.

    Raises:
        BadInputError: It cannot be read, has another form, or lists an image twice.
    """
    return collect_once(_name_and_label(read_lines(path), path), path)


def read_accepted_classes(path: Path) -> dict[str, tuple[int, ...]]:
    """Return the labels of a labels.json: a list of objects with `file` and `accept_classes`, the best one first.

    Raises:
        BadInputError: It cannot be read, has another form, or lists an image twice.
    """
    try:
        entries = [(entry["file"], tuple(entry["accept_classes"])) for entry in json.loads(read_labels(path))]
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise _other_form(path, json_problem(error)) from error
    for name, classes in entries:
        if not isinstance(name, str) or not classes or not all(type(label) is int for label in classes):
            raise _other_form(path, f"the entry of {name!r}")
    return collect_once(entries, path)


def read_devkit(path: Path, names: Iterable[str], *, class_count: int) -> dict[str, tuple[int, ...]]:
    """Return the labels of the images from ILSVRC2012_validation_ground_truth.txt, of which line n is image n.

    The devkit numbers its classes in an order of its own; networks count the sorted synsets. The devkit's meta.mat, in
    the same folder, connects the two. The lists of later years (map_clsloc.txt) number otherwise and are not taken.

    Args:
        names: Of the images; those that carry no number of the validation set get no label.

    Raises:
        BadInputError: The file or meta.mat cannot be read, they do not belong together, an image is there twice, or a
            line within is blank: every image after it would get another's label.
    """
    labels_by_id = _sorted_synset_labels(path.parent / SYNSETS_FILE, path, class_count=class_count)
    name_of = _names_by_number(names)
    return {
        name_of.get(number, f"ILSVRC2012_val_{number:08d}.JPEG"): (_label_of(line, labels_by_id, path, number),)
        for number, line in enumerate(read_lines(path), start=1)
    }


def is_label(text: str) -> bool:
    """Return whether `text` is a number that a label can be."""
    return text.isascii() and text.isdecimal() and len(text) <= MAX_LABEL_DIGITS


def _names_by_number(names: Iterable[str]) -> dict[int, str]:
    found: dict[int, str] = {}
    for name in names:
        if match := _IMAGE_NUMBER.fullmatch(name):
            number = int(match.group(1))
            if number in found:
                raise BadInputError(f"{name} and {found[number]} are the same image", remedy="keep one of them")
            found[number] = name
    return found


def _label_of(line: str, labels_by_id: dict[int, int], path: Path, number: int) -> int:
    text = line.strip()
    if not is_label(text) or int(text) not in labels_by_id:
        what = repr(text[:40]) if text else "a blank line"
        raise BadInputError(
            f"{path}:{number}: {what} is not a class in 1..{len(labels_by_id)}", remedy="take the devkit's own file"
        )
    return labels_by_id[int(text)]


def _sorted_synset_labels(meta: Path, truth: Path, *, class_count: int) -> dict[int, int]:
    """Return the label, a place among the sorted synsets, of each ILSVRC2012_ID."""
    remedy = "take the file of ILSVRC2012's own devkit (tasks 1 and 2)"
    if not meta.is_file():
        raise BadInputError(
            f"{truth} numbers classes in the devkit's order, and networks in that of the sorted synsets",
            remedy=f"put the devkit's {SYNSETS_FILE} beside it, or name a list of `name label` lines (val.txt)",
        )
    # Not above: it takes longer to import than all else here, and lists of other forms do not need it.
    from scipy.io import loadmat  # noqa: PLC0415

    try:
        synsets = loadmat(meta, squeeze_me=True)["synsets"]
        numbered = [(int(one["ILSVRC2012_ID"]), str(one["WNID"])) for one in synsets]
    except Exception as error:
        raise BadInputError(f"{meta} is not the devkit's list of synsets ({error!r})", remedy=remedy) from error
    # Behind the classes come their ancestors, with higher numbers.
    found = {number: synset for number, synset in numbered if number <= class_count}
    places = {synset: place for place, synset in enumerate(sorted(found.values()))}
    if sorted(found) != list(range(1, class_count + 1)) or len(places) != class_count:
        raise BadInputError(f"{meta} does not number {class_count} synsets", remedy=remedy)
    return {number: places[synset] for number, synset in found.items()}


def _name_and_label(lines: Iterable[str], path: Path) -> Iterator[tuple[str, tuple[int, ...]]]:
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        # Between them spaces or tabs; the name may have spaces of its own.
        parts = line.strip().rsplit(maxsplit=1)
        if len(parts) < len(("name", "label")) or not is_label(parts[1]):
            raise _other_form(path, f"line {number}: {line[:80]!r}")
        yield parts[0], (int(parts[1]),)


def _other_form(path: Path, where: str) -> BadInputError:
    return BadInputError(
        f"{path} has no labels in a form that is known ({where})",
        remedy="write lines of `name label`, or a JSON list of objects with file and accept_classes",
    )
