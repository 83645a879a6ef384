"""A sweep as plain lines, one per cell: for logs, CI and pipes."""

from __future__ import annotations

from collections.abc import Callable

from asyncbench.cli.show.pace import Pace
from asyncbench.cli.show.summary import summary_lines
from asyncbench.cli.show.text import cell_line, engine_text, told_apart_by
from asyncbench.clock import now_ns
from asyncbench.results.record import CellRecord, HeaderRecord, TrailerRecord
from asyncbench.sweep.cell import Cell
from asyncbench.units import counted
from asyncbench.wire.messages import CellProgress


class PlainListener:
    """Prints a line for every cell that ends.

    Args:
        cells: The whole grid, by index.
        done: Records of a resumed file.
        write: Takes a line without its newline.
    """

    def __init__(self, *, cells: dict[int, Cell], done: dict[int, CellRecord], write: Callable[[str], None]) -> None:
        self._total = len(cells)
        self._named = told_apart_by(cells.values())
        self._resumed = len(done)
        self._records = dict(done)
        self._write = write
        self._header: HeaderRecord | None = None
        self._started_at_ns = 0

    def engine_opening(self, cell: Cell) -> None:
        """See SweepObserver."""
        self._write(f"opening {engine_text(cell)} ...")

    def engine_notice(self, text: str) -> None:
        """See SweepObserver."""
        self._write(text)

    def sweep_started(self, header: HeaderRecord) -> None:
        """See SweepObserver."""
        self._header = header
        self._started_at_ns = now_ns()
        names = ", ".join(f"{device['device_name']} ({device['backend']})" for device in header.devices)
        # Where not even an engine fits, no device was opened that could be named.
        self._write(counted(self._total, "cell") + (f" on {names}" if names else ""))

    def cell_started(self, index: int, cell: Cell) -> None:
        """See SweepObserver."""

    def cell_progress(self, progress: CellProgress) -> None:
        """See SweepObserver."""

    def cell_ended(self, record: CellRecord) -> None:
        """See SweepObserver."""
        self._records[record.index] = record
        pace = Pace(
            total=self._total,
            resumed=self._resumed,
            ended=len(self._records) - self._resumed,
            elapsed_ns=now_ns() - self._started_at_ns,
        )
        left = f"  ({pace.left_text})" if pace.left_text else ""
        self._write(cell_line(record, self._total, named=self._named) + left)

    def notice(self, text: str) -> None:
        """See SweepObserver."""
        self._write(text)

    def sweep_ended(self, trailer: TrailerRecord) -> None:
        """See SweepObserver."""
        if self._header is None:
            return
        for line in summary_lines(self._header, self._records, trailer):
            self._write(line)
