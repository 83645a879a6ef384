"""Writing of records from Trio, without blocking it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import trio

from asyncbench.results.record import Record


class RecordSink(Protocol):
    """Destination of records: a file or stdout. Calls may block."""

    def append(self, record: Record) -> str | None:
        """Write one record, whole or not at all; return a notice for people, if there is one.

        Raises:
            OutputError: It cannot be written.
        """

    def check(self) -> str | None:
        """Make sure that what was written is still there; see `append`."""

    def close(self) -> None:
        """Let go of it."""


class ResultsWriter:
    """The one owner of a sink. Records of tasks that end at the same time are written one after the other.

    Args:
        notice: Takes a line for people where the records had to go elsewhere.

    Attributes:
        is_elsewhere: Whether they had to.
    """

    def __init__(self, sink: RecordSink, *, notice: Callable[[str], None] = lambda _: None) -> None:
        self.is_elsewhere = False
        self._sink = sink
        self._notice = notice
        self._turn = trio.Lock()

    async def append(self, record: Record) -> None:
        """Write one record. Cancelling before it starts writes nothing; once started it is finished.

        Raises:
            OutputError: It cannot be written; what was written before is whole.
        """
        async with self._turn:
            self._report(await trio.to_thread.run_sync(self._sink.append, record))

    async def check(self) -> None:
        """Make sure that what was written is still there, or put it elsewhere.

        Raises:
            OutputError: It is gone, and cannot be written elsewhere.
        """
        async with self._turn:
            self._report(await trio.to_thread.run_sync(self._sink.check))

    def _report(self, notice: str | None) -> None:
        if notice is not None:
            self.is_elsewhere = True
            self._notice(notice)
