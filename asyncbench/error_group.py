"""Our own error out of a group that a nursery raised."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from asyncbench.errors import AsyncbenchError

if sys.version_info < (3, 11):
    from exceptiongroup import BaseExceptionGroup


@contextmanager
def own_error_alone() -> Iterator[None]:
    """Raise the first of our own errors instead of the group around it; other groups pass as they are."""
    try:
        yield
    except BaseExceptionGroup as group:
        own_error = first_own_error(group)
        if own_error is None:
            raise
        raise own_error from group


def first_own_error(group: BaseExceptionGroup[BaseException]) -> AsyncbenchError | None:
    """Return the first of our own errors in a group, or None where there is none."""
    for error in group.exceptions:
        found = first_own_error(error) if isinstance(error, BaseExceptionGroup) else error
        if isinstance(found, AsyncbenchError):
            return found
    return None
