"""A sweep as plain lines, one per cell: for logs, CI and pipes."""

from __future__ import annotations

from collections.abc import Callable

from asyncbench.cli.show.pace import Pace
from asyncbench.cli.show.summary import summary_lines
from asyncbench.cli.show.text import cell_line, engine_text, varying_keys
from asyncbench.clock import now_ns
from asyncbench.results.record import CellRecord, HeaderRecord, TrailerRecord
from asyncbench.supervisor.events import EngineOpening, EngineProgress, Notice, RecordWritten, SweepEvent
from asyncbench.sweep.cell import Cell
from asyncbench.units import counted


class PlainLines:
    """Plain lines of a sweep: one for every cell that ends.

    Args:
        cells: The whole grid, by index.
        done: Records of a resumed file.
        write: Takes a line without its newline.
    """

    def __init__(self, *, cells: dict[int, Cell], done: dict[int, CellRecord], write: Callable[[str], None]) -> None:
        self._total = len(cells)
        self._named = varying_keys(cells.values())
        self._resumed = len(done)
        self._records = dict(done)
        self._write = write
        self._header: HeaderRecord | None = None
        self._started_at_ns = 0

    def __call__(self, event: SweepEvent) -> None:
        """Print what a log keeps of an event; see Subscriber."""
        match event:
            case EngineOpening(cell=cell):
                self._write(f"opening {engine_text(cell)} ...")
            case EngineProgress(text=text) | Notice(text=text):
                self._write(text)
            case RecordWritten(record=HeaderRecord() as header):
                self._begin(header)
            case RecordWritten(record=CellRecord() as cell_record):
                self._print_cell(cell_record)
            case RecordWritten(record=TrailerRecord() as trailer) if self._header is not None:
                for line in summary_lines(self._header, self._records, trailer):
                    self._write(line)

    def _begin(self, header: HeaderRecord) -> None:
        self._header = header
        self._started_at_ns = now_ns()
        names = ", ".join(f"{device['device_name']} ({device['backend']})" for device in header.devices)
        # Where not even an engine fits, no device was opened that could be named.
        self._write(counted(self._total, "cell") + (f" on {names}" if names else ""))

    def _print_cell(self, record: CellRecord) -> None:
        self._records[record.index] = record
        pace = Pace(
            total=self._total,
            resumed=self._resumed,
            ended=len(self._records) - self._resumed,
            elapsed_ns=now_ns() - self._started_at_ns,
        )
        left = f"  ({pace.left_text})" if pace.left_text else ""
        self._write(cell_line(record, self._total, named=self._named) + left)
