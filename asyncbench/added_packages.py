"""Entry points of other packages: loaded so that whatever is wrong with one is an error of ours, in one line."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import redirect_stdout
from importlib.metadata import EntryPoint

from asyncbench.errors import BadInputError, named_line


def package_of(entry_point: EntryPoint) -> str:
    """Return the name of the package that an entry point is of."""
    return (entry_point.dist.name if entry_point.dist else None) or "an unnamed package"


def check_unambiguous(found: Sequence[EntryPoint], problem: str) -> None:
    """Refuse entry points of one name that mean different things: which one was installed first must not decide.

    Args:
        problem: What is said before the names of the packages.

    Raises:
        BadInputError: They mean different things.
    """
    if len({each.value for each in found}) > 1:
        packages = " and ".join(sorted(package_of(each) for each in found))
        raise BadInputError(f"{problem} {packages}", remedy="uninstall all but one of them")


def load_entry_point(entry_point: EntryPoint, *, where: str, remedy: str) -> object:
    """Return what an entry point names. Runs code of its package.

    Args:
        where: What the message calls it.

    Raises:
        BadInputError: It cannot be loaded.
    """
    try:
        with redirect_stdout(sys.stderr):  # records may be written to stdout
            return entry_point.load()
    except (Exception, SystemExit) as error:  # the code of others may end in any way, and must not end this process
        raise BadInputError(f"{where} cannot be loaded: {named_line(error)}", remedy=remedy) from error
