"""What a sweep tells whoever shows it to people."""

from __future__ import annotations

from typing import Protocol

from asyncbench.results.record import CellRecord, HeaderRecord, TrailerRecord
from asyncbench.sweep.cell import Cell
from asyncbench.wire.messages import CellProgress


class SweepObserver(Protocol):
    """Called on the Trio thread; must not block."""

    def engine_opening(self, cell: Cell) -> None:
        """The engine for `cell` and those after it is being opened."""

    def engine_notice(self, text: str) -> None:
        """How the opening goes: what is built and why, how far it is."""

    def sweep_started(self, header: HeaderRecord) -> None:
        """The header was written."""

    def cell_started(self, index: int, cell: Cell) -> None:
        """A cell was handed to the bench process."""

    def cell_progress(self, progress: CellProgress) -> None:
        """A cell is under way."""

    def cell_ended(self, record: CellRecord) -> None:
        """The record of a cell was written."""

    def notice(self, text: str) -> None:
        """Something that a person should know."""

    def sweep_ended(self, trailer: TrailerRecord) -> None:
        """The trailer was written."""
