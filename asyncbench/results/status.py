"""Status of a cell."""

from __future__ import annotations

from asyncbench.text_enum import TextEnum


class Status(TextEnum):
    """What became of a cell."""

    MEASURED = "measured"
    IMPRECISE = "imprecise"
    INVALID = "invalid"
    DOES_NOT_FIT = "does_not_fit"
    INTERRUPTED = "interrupted"
    ERROR = "error"
