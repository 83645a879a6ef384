"""What typer found wrong on the command line, in words of ours: its own are those of a validator."""

from __future__ import annotations

import re

_INVALID = re.compile(r"Invalid value for '(?P<option>[^']+)': (?P<why>.*)", re.DOTALL)
_CHOICE = re.compile(r"(Value error, )?(?P<value>'[^']*') is not one of (?P<choices>.*?)\.?", re.DOTALL)
_NUMBERS = {
    "Input should be a valid integer": "is not a whole number: write one in digits, such as 4",
    "Input should be a valid number": "is not a number: write one in digits, such as 99.99",
}


def usage_complaint(text: str) -> str:
    """Return the line that people are shown: which option, what is wrong, and the remedy."""
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
