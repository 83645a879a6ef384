"""Write records from Trio without blocking it."""

from __future__ import annotations

from typing import Protocol

import trio

from asyncbench.results.record import Record


class RecordSink(Protocol):
    """Where records go: a file or stdout. Calls may block."""

    def append(self, record: Record) -> None:
        """Write one record, whole or not at all.

        Raises:
            OutputError: It cannot be written.
        """

    def close(self) -> None:
        """Let go of it."""


class ResultsWriter:
    """The one owner of a sink. Records of tasks that end at the same time are written one after the other."""

    def __init__(self, sink: RecordSink) -> None:
        self._sink = sink
        self._turn = trio.Lock()

    async def append(self, record: Record) -> None:
        """Write one record. Cancelling before it starts writes nothing; once started it is finished.

        Raises:
            OutputError: It cannot be written; what was written before is whole.
        """
        async with self._turn:
            await trio.to_thread.run_sync(self._sink.append, record)
