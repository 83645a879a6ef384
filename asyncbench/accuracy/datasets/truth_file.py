"""Reads the files that say what is in pictures: label lists, labels.json, instances, lists of a subset."""

from __future__ import annotations

import re
from pathlib import Path

from asyncbench.files.user_file import read_user_text

MAX_TRUTH_BYTES = 2 << 30
"""COCO's instances_train2017.json has 470 MB."""
_MARK = "\ufeff"
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


def first_line_of(text: str) -> str:
    """Return the beginning of the first line that is not blank; empty where all are."""
    match = _FIRST_LINE.search(text)
    return match.group().strip() if match else ""
