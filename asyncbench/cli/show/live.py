"""A sweep on a terminal: the surface as it fills, a bar, the running cell, the time left."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table

from asyncbench.cli.show.pace import Pace
from asyncbench.cli.show.summary import summary_lines
from asyncbench.cli.show.surface import Point, surface_table
from asyncbench.cli.show.text import engine_text, precision_text
from asyncbench.clock import NS_PER_S, now_ns
from asyncbench.results.record import CellRecord, HeaderRecord, TrailerRecord
from asyncbench.supervisor.events import (
    CellStarted,
    EngineOpening,
    EngineProgress,
    Notice,
    RecordWritten,
    SweepEvent,
)
from asyncbench.sweep.cell import Cell
from asyncbench.units import counted
from asyncbench.wire.messages import CellProgress

# Lines that the terminal needs beside the surface's rows: title, heading, bar, running cell, spare.
_FRAME_LINES = 6


class LiveView:
    """Live view of a sweep. It redraws when something happens, and has no thread of its own.

    Args:
        cells: The whole grid, by index.
        done: Records of a resumed file.
    """

    def __init__(self, console: Console, *, cells: dict[int, Cell], done: dict[int, CellRecord]) -> None:
        self._console = console
        self._cells = cells
        self._records = dict(done)
        self._resumed = len(done)
        self._header: HeaderRecord | None = None
        self._running: int | None = None
        self._status = "starting ..."
        self._started_at_ns = 0
        # No refresh thread: draws are ours, on the events of the sweep.
        self._live = Live(console=console, auto_refresh=False, transient=False)

    @contextmanager
    def shown(self) -> Iterator[None]:
        """Own the terminal while the sweep runs."""
        with self._live:
            yield

    def __call__(self, event: SweepEvent) -> None:
        """Redraw for an event; see Subscriber."""
        match event:
            case EngineOpening(cell=cell):
                self._draw_status(f"opening {engine_text(cell)} ...")
            case EngineProgress(text=text):
                self._draw_status(text)
            case Notice(text=text):
                self._console.print(text, highlight=False, markup=False, soft_wrap=True)
            case CellStarted(index=index, cell=cell):
                self._running = index
                self._draw_status(_cell_text(cell))
            case CellProgress():
                elapsed_s = event.elapsed_ns / NS_PER_S
                done = f"{event.phase}, {counted(event.n, 'inference')} in {elapsed_s:.1f} s"
                self._draw_status(f"{_cell_text(self._cells[event.index])}: {done}")
            case RecordWritten(record=HeaderRecord() as header):
                self._header = header
                self._started_at_ns = now_ns()
            case RecordWritten(record=CellRecord() as record):
                self._records[record.index] = record
                self._running = None
                self._draw()
            case RecordWritten(record=TrailerRecord() as trailer):
                self._show_end(trailer)

    def _show_end(self, trailer: TrailerRecord) -> None:
        self._live.update(self._surface(), refresh=True)
        self._live.stop()
        if self._header is None:
            return
        for line in summary_lines(self._header, self._records, trailer):
            self._console.print(line, highlight=False, soft_wrap=True, markup=False)

    def _draw_status(self, text: str) -> None:
        self._status = text
        self._draw()

    def _draw(self) -> None:
        bar = Table.grid(padding=(0, 1))
        pace = self._pace()
        left = pace.left_text or ""
        ended = pace.resumed + pace.ended
        bar.add_row(ProgressBar(total=pace.total, completed=ended, width=40), f"{ended}/{pace.total} cells", left)
        self._live.update(Group(self._surface(), bar, self._status), refresh=True)

    def _pace(self) -> Pace:
        return Pace(
            total=len(self._cells),
            resumed=self._resumed,
            ended=len(self._records) - self._resumed,
            elapsed_ns=now_ns() - self._started_at_ns if self._started_at_ns else 0,
        )

    def _surface(self) -> RenderableType:
        """Return the surface of the engine at work, its rows cut to what the terminal shows."""
        now = self._cells[self._running if self._running is not None else self._last_index()]
        same = {index: cell for index, cell in self._cells.items() if _engine_of(cell) == _engine_of(now)}
        batches = sorted({cell.batch for cell in same.values()})
        room = max(1, self._console.height - _FRAME_LINES)
        first = max(0, min(batches.index(now.batch) - room // 2, len(batches) - room))
        return surface_table(
            {_point(cell): self._records[index] for index, cell in same.items() if index in self._records},
            batches=batches[first : first + room],
            concurrencies=sorted({cell.concurrency for cell in same.values()}),
            running=_point(now) if self._running is not None else None,
            title=f"items/s, {engine_text(now, precision=self._precision_text(now, same))}",
        )

    def _precision_text(self, now: Cell, same: Iterable[int]) -> str:
        known = (self._records[index] for index in same if index in self._records)
        return next((precision_text(record) for record in known), str(now.precision))

    def _last_index(self) -> int:
        return max(self._records, default=0)


def _cell_text(cell: Cell) -> str:
    return f"batch {cell.batch}, concurrency {cell.concurrency}"


def _engine_of(cell: Cell) -> tuple[str, str, str]:
    return cell.model, str(cell.precision), cell.device


def _point(cell: Cell) -> Point:
    return cell.batch, cell.concurrency
