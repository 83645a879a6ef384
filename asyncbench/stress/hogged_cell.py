"""One long cell measured alone and beside a process that takes nearly all memory and lets go, several times."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from itertools import pairwise
from typing import Protocol

import trio

from asyncbench.memory.host.limited_group import LimitedGroup
from asyncbench.results.latency import LatencyBlock
from asyncbench.results.record import CellRecord
from asyncbench.results.status import Status
from asyncbench.stress.context import ScenarioContext
from asyncbench.stress.file_state import read_state
from asyncbench.stress.sweep_child import open_child, sweep_command

LEFT_BYTES = 100 << 20
MAX_CHANGE_RATIO = 0.02
WARMUP_S = 2.0
_GRAB_S = 1.5

SHRINKS = "lanes go when the hog takes all but 100 MiB, and all come back when it lets go"
UNHURT = "no failure: the cell is measured, exit code 0"
UNCHANGED = "the p50 of the undisturbed parts is within 2 % of a run without a hog"


class Hog(Protocol):
    """A process that holds memory.

    Attributes:
        group: The control group that the sweep is to run in; None for none.
    """

    group: LimitedGroup | None

    async def grab(self, *, left_bytes: int) -> int:
        """Hold all that is free but so much; return how much is free from then on.

        Raises:
            BackendUnavailableError: It was killed.
        """

    async def let_go(self) -> None:
        """Hold nothing; returns when that is so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HoggedCell:
    """The cell that is measured, and the hog beside it.

    Attributes:
        arguments: Of the sweep: one cell, without its length.
        open_hog: Starts a hog that holds nothing yet.
    """

    arguments: Sequence[str]
    concurrency: int
    open_hog: Callable[[ScenarioContext], AbstractAsyncContextManager[Hog]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """Durations and counts of a hogged cell.

    Attributes:
        cycles: How often the hog takes memory in one cell.
        hold_s: How long the hog holds.
        rest_s: How long it lets go: lanes come back one a second.
        rounds: Cells without and with a hog.
        judged: Whether so many rounds say something of the p50.
    """

    cycles: int
    hold_s: float
    rest_s: float
    rounds: int
    judged: bool = True

    @property
    def duration_s(self) -> float:
        """The window of the cell; taking and letting go last some time too, and the last lane must be back in it."""
        return self.cycles * (self.hold_s + self.rest_s + _GRAB_S) + self.rest_s


async def run_rounds(context: ScenarioContext, cell: HoggedCell, pace: Pace) -> None:
    """Measure the cell without and with a hog, in turns: a machine does not stay the same for long."""
    alone, hogged = [], []
    for number in range(pace.rounds):
        alone.append(await _measure(context, cell, pace, f"alone {number}", with_hog=False))
        hogged.append(await _measure(context, cell, pace, f"hog {number}", with_hog=True))
    changes = sum(len(each.memory.lane_changes) for each in hogged if each)
    context.conclude(SHRINKS, f"{pace.cycles} times in each of {pace.rounds} cells: {changes} changes of lanes")
    context.conclude(UNHURT, f"{pace.rounds} cells of {pace.duration_s:.0f} s beside a hog")
    _compare(context, pace, _p50s(alone), _p50s(hogged))


async def _measure(
    context: ScenarioContext, cell: HoggedCell, pace: Pace, step: str, *, with_hog: bool
) -> CellRecord | None:
    output = context.folder / f"hogged-{step.replace(' ', '-')}.jsonl"
    log = output.with_suffix(".log")
    times = ("--duration", f"{pace.duration_s}s", "--warmup", f"{WARMUP_S}s", "--log", str(log))
    command = sweep_command(output, *cell.arguments, "--concurrency", str(cell.concurrency), *times)
    async with cell.open_hog(context) as hog:
        async with open_child(command, errors=output.with_suffix(".stderr"), group=hog.group) as child:
            if with_hog:
                await child.wait_for_cell(log)
                await child.wait(WARMUP_S + 1.0)
                await _hog(context, pace, hog)
            ended = await child.wait(pace.duration_s + 60)
        oom_kills = hog.group.read_oom().oom_kills if hog.group else 0
    state = await trio.to_thread.run_sync(read_state, output)
    record = state.read.cells.get(0) if state.read else None
    good = record is not None and record.status in (Status.MEASURED, Status.IMPRECISE)
    stderr = "" if ended.code == 0 else ended.stderr
    context.check(UNHURT, step, held=ended.code == 0 and good, code=ended.code, oom_kills=oom_kills, stderr=stderr)
    if with_hog and record is not None:
        _check_lanes(context, cell, pace, record, step)
    return record if good else None


async def _hog(context: ScenarioContext, pace: Pace, hog: Hog) -> None:
    for number in range(pace.cycles):
        await trio.sleep(pace.rest_s if number else 0)
        free_bytes = await hog.grab(left_bytes=LEFT_BYTES)
        await trio.sleep(pace.hold_s)
        await hog.let_go()
        context.report_figures(f"hog {number}", free_bytes=free_bytes)


def _check_lanes(context: ScenarioContext, cell: HoggedCell, pace: Pace, record: CellRecord, step: str) -> None:
    """Each time the lanes must have been fewer, and all of them in the end."""
    lanes = [record.memory.resident_lanes or 0, *(change.lanes for change in record.memory.lane_changes)]
    all_lanes = lanes[0]
    shrunk = sum(before == all_lanes and after < all_lanes for before, after in pairwise(lanes))
    held = shrunk >= pace.cycles and lanes[-1] == all_lanes == cell.concurrency
    withheld_s = (record.memory.backpressure_ns or 0) / 1e9
    context.check(SHRINKS, step, held=held, shrunk=shrunk, lanes=str(lanes), withheld_s=withheld_s)


def _p50s(cells: list[CellRecord | None]) -> list[int]:
    blocks = [_undisturbed(cell) for cell in cells if cell]
    return [block.percentiles["p50"].value_ns for block in blocks if block and "p50" in block.percentiles]


def _undisturbed(cell: CellRecord) -> LatencyBlock | None:
    return cell.latency.service_undisturbed or cell.latency.service


def _compare(context: ScenarioContext, pace: Pace, alone: list[int], hogged: list[int]) -> None:
    if not alone or not hogged:
        context.check(UNCHANGED, "medians", held=False, alone=len(alone), hogged=len(hogged))
        context.conclude(UNCHANGED, "a run has no p50")
        return
    median_alone, median_hogged = statistics.median(alone), statistics.median(hogged)
    change_ratio = median_hogged / median_alone - 1
    spread_ratio = (max(alone) - min(alone)) / median_alone
    figure = f"{median_alone / 1e6:.2f} ms alone, {median_hogged / 1e6:.2f} ms: {change_ratio:+.2%}"
    if pace.rounds > 1:
        figure += f"; the runs alone differ by {spread_ratio:.1%} among themselves"
    if not pace.judged:
        context.report_figures("p50", change_ratio=change_ratio, spread_ratio=spread_ratio)
        context.skip(UNCHANGED, f"not judged by one quick round ({figure})")
        return
    held = abs(change_ratio) <= MAX_CHANGE_RATIO
    context.check(UNCHANGED, "medians", held=held, change_ratio=change_ratio, spread_ratio=spread_ratio)
    context.conclude(UNCHANGED, f"{figure}; medians of {pace.rounds} runs each" if pace.rounds > 1 else figure)
