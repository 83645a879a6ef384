"""A value of an option that no configuration has: read, and refused under the option's name."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from asyncbench.errors import BadInputError

T = TypeVar("T")


def read_option(option: str, parse: Callable[[str], T], text: str) -> T:
    """Return what `text` says.

    Raises:
        BadInputError: `parse` refuses it; the message begins with the option.
    """
    try:
        return parse(text)
    except BadInputError as error:
        raise BadInputError(f"{option}: {error.message}", remedy=error.remedy) from error
