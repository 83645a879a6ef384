"""What became of a cell. Apart from the verdict, so that whoever only reads records loads no statistics."""

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
