"""Second tries: a cell that a bench process has died of is run once more, and then recorded, whatever it is.

On fewer lanes where memory can have been the reason: somebody's `kill -9` says nothing of how many lanes fit.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import JsonValue

from asyncbench.results.cell_parts import Reason
from asyncbench.results.record import CellRecord
from asyncbench.results.status import ReasonCode


@dataclass(frozen=True, slots=True, kw_only=True)
class FirstTry:
    """The end of a first try.

    Attributes:
        lanes: How many it ran on; None where the process has died before it said so.
        memory_suspected: Whether memory ended it, for sure or likely.
    """

    why: str
    facts: Mapping[str, JsonValue]
    lanes: int | None
    memory_suspected: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """A second try."""

    first: FirstTry
    max_lanes: int


class Retries:
    """Cells of a sweep that are at their second try. Sync; decides and remembers, runs nothing."""

    def __init__(self) -> None:
        self._retries: dict[int, Retry] = {}

    def plan(self, index: int, ended: FirstTry, *, concurrency: int, shares_lanes: bool) -> Retry | None:
        """Return how a cell is to be run once more; None where it was already.

        Args:
            shares_lanes: Whether it may run on fewer lanes than its concurrency: half of them, if memory is suspected.
        """
        if index in self._retries:
            return None
        fewer = shares_lanes and ended.memory_suspected
        lanes = max(1, (ended.lanes or concurrency) // 2) if fewer else concurrency
        self._retries[index] = Retry(first=ended, max_lanes=lanes)
        return self._retries[index]

    def attempt(self, index: int) -> int:
        """Return which try of a cell the next one is, from 1."""
        return 2 if index in self._retries else 1

    def max_lanes(self, index: int) -> int | None:
        """Return how many lanes the next try may have; None for as many as fit."""
        return self._retries[index].max_lanes if index in self._retries else None

    def annotate(self, record: CellRecord) -> CellRecord:
        """Return the record of a second try with what became of the first; any other one as it is."""
        if (retry := self._retries.get(record.index)) is None:
            return record
        reason = Reason(code=ReasonCode.RETRIED, text=f"the first try: {retry.first.why}")
        facts = {f"first_try_{name}": value for name, value in retry.first.facts.items()}
        return record.annotate(reason, facts=facts)
