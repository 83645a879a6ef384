"""Reading of a results file, line by line. A torn last line is legal: a writer was killed, or its disk was full."""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from dataclasses import dataclass
from io import BufferedReader
from pathlib import Path

from asyncbench.errors import BadInputError
from asyncbench.results.lines import MAX_LINE_BYTES, BadLineError, NotJsonError, OtherVersionError, decode_line
from asyncbench.results.record import CellRecord, HeaderRecord, Record, TrailerRecord
from asyncbench.results.status import Status

_UTF16_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
_OURS = b'{"kind":"header"'
_GIVE_OURS = "give a file that `asyncbench sweep` wrote"


@dataclass(frozen=True, slots=True, kw_only=True)
class ResultsRead:
    """Content of a results file.

    Attributes:
        header: The first one; a resumed sweep has more, of the same sweep.
        cells: By index; of several records of one cell, the last.
        trailer: None where the sweep did not come to its end, or went on after it.
        torn_bytes: Length of a torn last line, 0 for a whole file.
        good_bytes: Length of the file without it.
    """

    header: HeaderRecord
    cells: dict[int, CellRecord]
    trailer: TrailerRecord | None
    torn_bytes: int
    good_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Line:
    number: int
    data: bytes
    last: bool

    @property
    def text(self) -> bytes:
        """The line without the byte order mark that Windows' programs put in front of a file they save."""
        return self.data.removeprefix(codecs.BOM_UTF8)


def read_results(path: Path, *, allow_torn: bool) -> ResultsRead:
    """Read a file that one sweep wrote, resumed or not. Memory per line is bounded.

    Args:
        path: A regular file.
        allow_torn: Drop a torn last line and say how long it was, rather than refuse the file.

    Raises:
        BadInputError: The file cannot be read, is not ours, is of another version, is damaged, or is torn.
    """
    try:
        with path.open("rb") as file:
            return _read_lines(file, path, allow_torn=allow_torn)
    except OSError as error:
        raise BadInputError(f"{path}: {error.strerror}", remedy=_GIVE_OURS) from error


def final_cells(read: ResultsRead) -> set[int]:
    """Return the cells that `--resume` need not repeat: all that came to a verdict."""
    return {index for index, cell in read.cells.items() if cell.status is not Status.INTERRUPTED}


def _read_lines(file: BufferedReader, path: Path, *, allow_torn: bool) -> ResultsRead:
    lines = _lines(file)
    header = _read_header(next(lines, None), path)
    cells: dict[int, CellRecord] = {}
    trailer: TrailerRecord | None = None
    torn_bytes = 0
    for line in lines:
        record = _parse(line, path, header)
        if record is None:
            torn_bytes = len(line.data)
            if not allow_torn:
                raise _torn(path, line)
            break
        trailer = record if isinstance(record, TrailerRecord) else None
        if isinstance(record, CellRecord):
            cells[record.index] = record
    good_bytes = file.tell() - torn_bytes
    return ResultsRead(header=header, cells=cells, trailer=trailer, torn_bytes=torn_bytes, good_bytes=good_bytes)


def _lines(file: BufferedReader) -> Iterator[_Line]:
    number = 0
    while data := file.readline(MAX_LINE_BYTES + 1):
        number += 1
        yield _Line(number=number, data=data, last=not file.peek(1))


def _read_header(line: _Line | None, path: Path) -> HeaderRecord:
    if line is not None and line.data.startswith(_UTF16_MARKS):
        remedy = "save it as UTF-8, or give another --output"
        raise BadInputError(f"{path}: is UTF-16 text, as Windows' PowerShell writes it", remedy=remedy)
    if line is None or _OURS.startswith(line.text) or (line.text.startswith(_OURS) and not line.text.endswith(b"\n")):
        raise BadInputError(
            f"{path}:1: no whole header, so no result either", remedy="delete the file, or give another --output"
        )
    try:
        record = decode_line(line.text)
    except OtherVersionError as error:
        raise _other_version(path, line, error) from error
    except BadLineError as error:
        raise BadInputError(f"{path}:1: not a results file of asyncbench ({error})", remedy=_GIVE_OURS) from error
    if not isinstance(record, HeaderRecord):
        raise BadInputError(f"{path}:1: a {record.kind} where the header should be", remedy=_GIVE_OURS)
    return record


def _parse(line: _Line, path: Path, header: HeaderRecord) -> Record | None:
    """Return the record of a line after the first, None for a torn one."""
    if len(line.data) > MAX_LINE_BYTES:
        raise _damaged(path, line, f"longer than {MAX_LINE_BYTES} B")
    if line.last and not line.data.endswith(b"\n"):
        return None
    try:
        record = decode_line(line.text)
    except NotJsonError as error:
        if line.last:
            return None
        raise _damaged(path, line, str(error)) from error
    except OtherVersionError as error:
        raise _other_version(path, line, error) from error
    except BadLineError as error:
        raise _damaged(path, line, str(error)) from error
    if record.sweep_id != header.sweep_id:
        raise _another_sweep(path, line)
    return record


def _torn(path: Path, line: _Line) -> BadInputError:
    return BadInputError(
        f"{path}:{line.number}: the last line is torn ({len(line.data)} B)",
        remedy="run the sweep again with --resume, which drops it and goes on",
        torn_bytes=len(line.data),
    )


def _damaged(path: Path, line: _Line, why: str) -> BadInputError:
    remedy = f"delete line {line.number}, or give another --output"
    return BadInputError(f"{path}:{line.number}: {why}", remedy=remedy)


def _another_sweep(path: Path, line: _Line) -> BadInputError:
    remedy = f"keep its first {line.number - 1} lines alone (head -n {line.number - 1}), or give another --output"
    return BadInputError(f"{path}: from line {line.number} on it is another sweep's", remedy=remedy)


def _other_version(path: Path, line: _Line, why: OtherVersionError) -> BadInputError:
    remedy = "use the asyncbench that wrote it, or give another --output"
    return BadInputError(f"{path}:{line.number}: {why}", remedy=remedy)
