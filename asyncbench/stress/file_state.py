"""State that one start of a sweep leaves behind: its file before and after, and the cells that it began."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from asyncbench.errors import BadInputError
from asyncbench.results.reader import ResultsRead, final_cells, read_results
from asyncbench.results.status import Status


@dataclass(frozen=True, slots=True, kw_only=True)
class FileState:
    """A results file at one instant.

    Attributes:
        read: None where there is no file, or it does not parse.
        complaint: Why it does not parse; empty where it does, or is not there.
        whole: Its bytes without a torn last line.
        cell_lines: How many whole lines each cell has.
    """

    read: ResultsRead | None
    complaint: str
    whole: bytes
    cell_lines: Counter[int]

    @property
    def final(self) -> set[int]:
        """Cells that need not be repeated."""
        return final_cells(self.read) if self.read else set()

    @property
    def has_trailer(self) -> bool:
        """True where the sweep came to an end of its own."""
        return self.read is not None and self.read.trailer is not None

    def count(self, status: Status) -> int:
        """Return how many cells have a status."""
        return sum(cell.status is status for cell in self.read.cells.values()) if self.read else 0


def read_state(path: Path) -> FileState:
    """Read a results file as it is now. Blocks."""
    if not path.exists() or not path.stat().st_size:  # its name is taken before its first record
        return FileState(read=None, complaint="", whole=b"", cell_lines=Counter())
    try:
        read = read_results(path, allow_torn=True)
    except BadInputError as error:
        return FileState(read=None, complaint=error.message, whole=b"", cell_lines=Counter())
    whole = path.read_bytes()[: read.good_bytes]
    records = [json.loads(line) for line in whole.splitlines()]
    return FileState(
        read=read,
        complaint="",
        whole=whole,
        cell_lines=Counter(record["index"] for record in records if record["kind"] == "cell"),
    )


def tear_last_line(path: Path, state: FileState, lost_bytes: int) -> None:
    """Cut a part of the last line off, as a loss of power would; the header stays. Blocks."""
    lines = state.whole.splitlines(keepends=True)
    if len(lines) > 1:
        kept_bytes = len(state.whole) - min(max(1, lost_bytes), len(lines[-1]) - 1)
        with path.open("r+b") as file:
            file.truncate(kept_bytes)


def logged_events(path: Path) -> list[dict[str, object]]:
    """Return the events of a log that may end in the middle of a line. Blocks."""
    if not path.exists():
        return []
    events = []
    for line in path.read_bytes().splitlines():
        try:
            event = json.loads(line)
        except ValueError:
            continue
        events.append(event)
    return events


def cells_begun(events: list[dict[str, object]]) -> set[int]:
    """Return the cells that were started."""
    return {index for each in events if each.get("event") == "cell.started" and isinstance(index := each["index"], int)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Repetition:
    """Effect of a start of a sweep on the records that were there.

    Attributes:
        rewritten: Whether anything but a torn last line was changed of what was there.
        repeated: Cells that had a final record and were measured again.
        lost: Cells that were begun and have no record.
    """

    rewritten: bool
    repeated: tuple[int, ...]
    lost: tuple[int, ...]

    @property
    def one_cell_at_most(self) -> bool:
        """True where what there was stays, and the next start repeats one cell at most."""
        return not self.rewritten and not self.repeated and len(self.lost) <= 1


def compare_states(before: FileState, after: FileState, begun: set[int]) -> Repetition:
    """Return what a start did, from the file before and after it, and the cells that it began."""
    more = after.cell_lines - before.cell_lines
    return Repetition(
        rewritten=not after.whole.startswith(before.whole),
        repeated=tuple(sorted(before.final & set(more))),
        lost=tuple(sorted(begun - set(after.cell_lines))),
    )
