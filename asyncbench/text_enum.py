"""Base of the closed sets whose members are words: in records, in messages, on the command line."""

from __future__ import annotations

from enum import Enum


class TextEnum(str, Enum):
    """A closed set of words; a member is written as its value. Python 3.11 has it as `StrEnum`."""

    def __str__(self) -> str:
        return str(self.value)
