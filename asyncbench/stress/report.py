"""docs/reliability.md: the promises as a table, from the last verdicts of each scenario on each machine.

The verdicts lie beside the page as JSON lines, the page is made of them: a run of one scenario replaces its rows only.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import groupby
from pathlib import Path
from typing import Final

from asyncbench.errors import BadInputError, OutputError
from asyncbench.files.user_file import read_user_text, require_regular_file
from asyncbench.stress.context import Finding

_HEAD: Final = """\
# Reliability

What asyncbench promises about memory, death and interruption, and what came of trying to break it. Written by
`scripts/stress`; every figure is one that it measured. Each scenario runs real sweeps in processes of their own, with
chances drawn from a seed. A promise is kept only if it held at every step. `asyncbench stress --help` has the options.
"""
_COLUMNS: Final = ("promise", "kept", "figure")
_KEPT: Final = {True: "yes", False: "**NO**", None: "not tried"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One verdict, and where it comes from.

    Attributes:
        date: UTC.
        took_s: What its scenario took.
    """

    scenario: str
    part: str
    promise: str
    kept: bool | None
    figure: str
    command: str
    date: str
    machine: str
    took_s: float


def make_row(verdict: Finding, *, command: str, date: str, machine: str, took_s: float) -> Row:
    """Return the row of a verdict."""
    return Row(
        scenario=verdict.scenario,
        part=verdict.part,
        promise=verdict.promise,
        kept=verdict.held,
        figure=verdict.figure,
        command=command,
        date=date,
        machine=machine,
        took_s=round(took_s, 1),
    )


def merge_rows(before: Sequence[Row], now: Sequence[Row]) -> list[Row]:
    """Return the rows with those of each scenario and part that ran now in place of its old ones.

    A scenario that could not run here leaves the rows of a machine where it could.
    """
    tried = {(row.scenario, row.part) for row in now if row.kept is not None}
    known = {row.scenario for row in before}
    news = [row for row in now if (row.scenario, row.part) in tried or row.scenario not in known]
    replaced = {(row.scenario, row.part) for row in news}
    # A skip of the whole scenario is dropped once a part of it ran.
    ran = {row.scenario for row in news if row.kept is not None}
    stale = [row for row in before if row.kept is None and row.scenario in ran]
    kept = [row for row in before if (row.scenario, row.part) not in replaced and row not in stale]
    return sorted([*kept, *news], key=lambda row: row.scenario)


def render_page(rows: Sequence[Row]) -> str:
    """Return the page: a section for each scenario, a table for each run of it."""
    lines = [_HEAD]
    for scenario, of_scenario in groupby(rows, key=lambda row: row.scenario):
        lines.append(f"## {scenario}\n")
        runs = groupby(of_scenario, key=lambda row: (row.command, row.date, row.machine, row.took_s))
        for (command, date, machine, took_s), of_run in runs:
            lines += [f"`{command}`, {date}, {took_s:,.0f} s, on {machine}:\n", *_table(list(of_run))]
    return "\n".join(lines).rstrip() + "\n"


def _table(rows: Sequence[Row]) -> list[str]:
    cells = [(row.promise, _KEPT[row.kept], row.figure) for row in rows]
    lines = [_line(_COLUMNS), _line(["---"] * len(_COLUMNS)), *(_line(each) for each in cells)]
    return [*lines, ""]


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(" ".join(cell.split()).replace("|", "\\|") for cell in cells) + " |"


def update_page(path: Path, now: Sequence[Row]) -> None:
    """Put the rows of a run onto the page, and beside it. Blocks.

    Raises:
        BadInputError: What lies beside the page is not ours.
        OutputError: It cannot be written.
    """
    rows = merge_rows(read_rows(path), now)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _source(path).write_text("".join(json.dumps(asdict(row)) + "\n" for row in rows), encoding="utf-8")
        path.write_text(render_page(rows), encoding="utf-8")
    except OSError as error:
        raise OutputError(f"{path}: {error.strerror}", remedy="give another --docs") from error


def read_rows(path: Path) -> list[Row]:
    """Return the rows that a page was made of; none where there is no page yet. Blocks.

    Raises:
        BadInputError: What lies beside the page is not ours, or the page is no file.
    """
    if path.exists():
        require_regular_file(path, what="--docs", remedy="give another --docs")
    source = _source(path)
    if not source.exists():
        return []
    text = read_user_text(source, what="--docs: beside it lies", remedy="remove it, or give another --docs")
    try:
        return [Row(**json.loads(line)) for line in text.splitlines()]
    except (ValueError, TypeError) as error:
        raise BadInputError(
            f"{source}: not rows of a stress run ({error})", remedy="remove it, or give another --docs"
        ) from error


def _source(path: Path) -> Path:
    return path.with_suffix(".jsonl")
