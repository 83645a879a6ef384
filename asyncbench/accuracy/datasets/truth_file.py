"""Reading of files with the truth about images: label lists, labels.json, instances, lists of a subset."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar

from asyncbench.errors import BadInputError
from asyncbench.files.json_problem import json_problem
from asyncbench.files.user_file import read_user_text

MAX_TRUTH_BYTES = 2 << 30
"""COCO's instances_train2017.json has 470 MB."""
COCO_REMEDY: Final = "name COCO's instances_*.json"
_MARK = "\ufeff"
_Taken = TypeVar("_Taken")
_FIRST_LINE = re.compile(r"\S[^\r\n]{0,80}")


def read_truth(path: Path, *, what: str, remedy: str) -> str:
    """Return the text of such a file, without byte order marks. Blocking.

    They may also stand within it: it was put together from several files.

    Args:
        what: What cannot be read, such as "the labels".

    Raises:
        BadInputError: It cannot be read, or is no text.
    """
    text = read_user_text(path, what=f"cannot read {what}", remedy=remedy, limit_bytes=MAX_TRUTH_BYTES)
    return text.replace(_MARK, "")


def read_coco(path: Path, take: Callable[[Any], _Taken]) -> _Taken:
    """Return what `take` finds in COCO's instances JSON. Blocking: val2017 takes a second.

    Args:
        take: May raise what reading a document of another form raises, such as KeyError.

    Raises:
        BadInputError: It cannot be read, or has another form.
    """
    text = read_truth(path, what="the instances", remedy=COCO_REMEDY)
    try:
        return take(json.loads(text))
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError) as error:
        raise BadInputError(
            f"{path} has no instances in COCO's form ({json_problem(error)})", remedy=COCO_REMEDY
        ) from error


def first_line_of(text: str) -> str:
    """Return the beginning of the first line that is not blank; empty where all are."""
    match = _FIRST_LINE.search(text)
    return match.group().strip() if match else ""
