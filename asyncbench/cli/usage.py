"""Complaints about the command line, in words of ours: which option, what is wrong, and the remedy."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TypeVar

from asyncbench.errors import BadInputError

T = TypeVar("T")

_INVALID = re.compile(r"Invalid value for '(?P<option>[^']+)': (?P<why>.*)", re.DOTALL)
_CHOICE = re.compile(r"(Value error, )?(?P<value>'[^']*') is not one of (?P<choices>.*?)\.?", re.DOTALL)
_NUMBERS = {
    "Input should be a valid integer": "is not a whole number: write one in digits, such as 4",
    "Input should be a valid number": "is not a number: write one in digits, such as 99.99",
}


def usage_complaint(text: str) -> str:
    """Return the line that people are shown for what typer found: its own words are those of a validator."""
    invalid = _INVALID.fullmatch(text)
    if invalid is None:
        return f"{text.rstrip('.')}: `asyncbench --help` lists them" if text.startswith("No such command") else text
    option, why = invalid["option"], invalid["why"]
    for start, words in _NUMBERS.items():
        if why.startswith(start):
            return f"{option}: what is given {words}"
    choice = _CHOICE.fullmatch(why)
    if choice is None:
        return f"{option}: {why}"
    return f"{option}: {choice['value']} is not known: choose {choice['choices']}"


def read_option(option: str, parse: Callable[[str], T], text: str) -> T:
    """Return what the value of an option says that no configuration has.

    Raises:
        BadInputError: `parse` refuses it; the message begins with the option.
    """
    try:
        return parse(text)
    except BadInputError as error:
        raise BadInputError(f"{option}: {error.message}", remedy=error.remedy) from error
