"""The terminal that people read, whatever its environment says of it."""

from __future__ import annotations

import os
from collections.abc import Mapping

from rich.console import Console

_SIZES = ("COLUMNS", "LINES")


def people_console(*, stderr: bool = True) -> Console:
    """Return the console for people. A width or height of the environment counts if it is one.

    With `COLUMNS=0`, which some terminals and CI systems set, rich shows nothing at all.
    """
    return Console(stderr=stderr, _environ=_usable(os.environ))


def shows_live(console: Console) -> bool:
    """Return whether lines can be drawn over: a terminal that moves its cursor."""
    return console.is_terminal and not console.is_dumb_terminal


def _usable(environment: Mapping[str, str]) -> dict[str, str]:
    return {key: value for key, value in environment.items() if key not in _SIZES or _is_size(value)}


def _is_size(text: str) -> bool:
    return text.isascii() and text.isdigit() and int(text[:9]) > 0
