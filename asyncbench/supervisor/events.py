"""Events of a sweep that runs, for its subscribers: the live view, the plain lines, the library."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from asyncbench.results.record import Record
from asyncbench.sweep.cell import Cell
from asyncbench.wire.messages import CellProgress


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineOpening:
    """The engine for `cell` and those after it is being opened."""

    cell: Cell


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineProgress:
    """A line on how the opening goes: what is built and why, how far it is."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CellStarted:
    """A cell was handed to the bench process."""

    index: int
    cell: Cell


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """A line that a person should know."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordWritten:
    """A record (header, cell or trailer) is where the records go, synced where that is a file."""

    record: Record


SweepEvent: TypeAlias = EngineOpening | EngineProgress | CellStarted | CellProgress | Notice | RecordWritten
Subscriber: TypeAlias = Callable[[SweepEvent], None]
"""Called on the Trio thread, in the order of the events. Must not block; what it raises ends the sweep."""
