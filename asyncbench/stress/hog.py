"""`hog`: a process beside the sweep takes all of the group's memory but 100 MiB and lets go, five times in one cell."""

from __future__ import annotations

import statistics
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import pairwise

import trio

from asyncbench.errors import BackendUnavailableError
from asyncbench.host_memory.limited_group import LimitedGroup
from asyncbench.measurement.status import Status
from asyncbench.results.latency import LatencyBlock
from asyncbench.results.record import CellRecord
from asyncbench.stress.group import open_group
from asyncbench.stress.life import read_state
from asyncbench.stress.stage import Stage
from asyncbench.stress.sweep_child import PYTHON_M, Child, open_child, sweep_command

GROUP_BYTES = 1536 << 20
LEFT_BYTES = 100 << 20
CONCURRENCY = 4
MOST_CHANGE_RATIO = 0.02
WARMUP_S = 2.0
_GRAB_S = 1.5

SHRINKS = "lanes go when the hog takes all but 100 MiB, and all come back when it lets go"
UNHURT = "no failure: the cell is measured, exit code 0"
UNCHANGED = "the p50 of the undisturbed parts is within 2 % of a run without a hog"


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How long each thing takes.

    Attributes:
        hold_s: How long the hog holds.
        rest_s: How long it lets go: lanes come back one a second.
    """

    cycles: int
    hold_s: float
    rest_s: float
    rounds: int

    @property
    def duration_s(self) -> float:
        """The window of the cell; taking and letting go last some time too, and the last lane must be back in it."""
        return self.cycles * (self.hold_s + self.rest_s + _GRAB_S) + self.rest_s


FULL = Pace(cycles=5, hold_s=3.0, rest_s=7.5, rounds=3)
QUICK = Pace(cycles=1, hold_s=2.0, rest_s=6.0, rounds=1)


class Hog:
    """A process in the group that holds as much as it is told."""

    def __init__(self, child: Child) -> None:
        self._process = child.process

    async def hold(self, size_bytes: int) -> None:
        """Hold so much from now on; returns when it does.

        Raises:
            BackendUnavailableError: It was killed.
        """
        if self._process.stdin is None or self._process.stdout is None:
            raise ValueError("the hog needs pipes")
        await self._process.stdin.send_all(f"{size_bytes}\n".encode())
        if not await self._process.stdout.receive_some():
            raise BackendUnavailableError("the hog was killed in place of the bench process")


@asynccontextmanager
async def open_hog(stage: Stage, group: LimitedGroup) -> AsyncIterator[Hog]:
    """Start a hog in the group."""
    command = [*PYTHON_M, "asyncbench.stress.hog_child"]
    errors = stage.folder / "hog.stderr"
    pipe = subprocess.PIPE
    async with open_child(command, errors=errors, group=group, stdin=pipe, stdout=pipe) as child:
        yield Hog(child)


async def run(stage: Stage) -> None:
    """Measure one long cell without and with a hog, in turns: a machine does not stay the same for long."""
    pace = QUICK if stage.quick else FULL
    alone, hogged = [], []
    for number in range(pace.rounds):
        alone.append(await _cell(stage, pace, f"alone {number}", with_hog=False))
        hogged.append(await _cell(stage, pace, f"hog {number}", with_hog=True))
    changes = sum(len(cell.memory.lane_changes) for cell in hogged if cell)
    stage.conclude(SHRINKS, f"{pace.cycles} times in each of {pace.rounds} cells: {changes} changes of lanes")
    stage.conclude(UNHURT, f"{pace.rounds} cells of {pace.duration_s:.0f} s beside a hog")
    _compare(stage, pace, _p50s(alone), _p50s(hogged))


async def _cell(stage: Stage, pace: Pace, step: str, *, with_hog: bool) -> CellRecord | None:
    output = stage.folder / f"{step.replace(' ', '-')}.jsonl"
    log = output.with_suffix(".log")
    command = sweep_command(
        output,
        "mobilenet",
        "--backend",
        "onnxruntime",
        "--batch",
        "1",
        "--concurrency",
        str(CONCURRENCY),
        "--duration",
        f"{pace.duration_s}s",
        "--warmup",
        f"{WARMUP_S}s",
        "--memory-reserve",
        "256MiB",
        "--log",
        str(log),
    )
    async with open_group(GROUP_BYTES) as group, open_hog(stage, group) as hog:
        async with open_child(command, errors=output.with_suffix(".stderr"), group=group) as child:
            if with_hog:
                await child.wait_for_cell(log)
                await child.wait(WARMUP_S + 1.0)
                await _hog(stage, pace, group, hog)
            ended = await child.wait(pace.duration_s + 60)
        oom_kills = group.read_oom().oom_kills
    state = await trio.to_thread.run_sync(read_state, output)
    cell = state.read.cells.get(0) if state.read else None
    good = cell is not None and cell.status in (Status.MEASURED, Status.IMPRECISE)
    said = "" if ended.code == 0 else ended.said
    stage.check(UNHURT, step, held=ended.code == 0 and good, code=ended.code, oom_kills=oom_kills, said=said)
    if with_hog and cell is not None:
        _check_lanes(stage, pace, cell, step)
    return cell if good else None


async def _hog(stage: Stage, pace: Pace, group: LimitedGroup, hog: Hog) -> None:
    for number in range(pace.cycles):
        await trio.sleep(pace.rest_s if number else 0)
        reading = group.read()
        free_bytes = reading.headroom_bytes if reading else 0
        await hog.hold(free_bytes - LEFT_BYTES)
        await trio.sleep(pace.hold_s)
        await hog.hold(0)
        stage.note(f"hog {number}", taken_bytes=free_bytes - LEFT_BYTES)


def _check_lanes(stage: Stage, pace: Pace, cell: CellRecord, step: str) -> None:
    """Each time the lanes must have been fewer, and all of them in the end."""
    lanes = [cell.memory.resident_lanes or 0, *(change.lanes for change in cell.memory.lane_changes)]
    all_lanes = lanes[0]
    shrunk = sum(before == all_lanes and after < all_lanes for before, after in pairwise(lanes))
    held = shrunk >= pace.cycles and lanes[-1] == all_lanes == CONCURRENCY
    withheld_s = (cell.memory.backpressure_ns or 0) / 1e9
    stage.check(SHRINKS, step, held=held, shrunk=shrunk, lanes=str(lanes), withheld_s=withheld_s)


def _p50s(cells: list[CellRecord | None]) -> list[int]:
    blocks = [_undisturbed(cell) for cell in cells if cell]
    return [block.percentiles["p50"].value_ns for block in blocks if block and "p50" in block.percentiles]


def _undisturbed(cell: CellRecord) -> LatencyBlock | None:
    return cell.latency.service_undisturbed or cell.latency.service


def _compare(stage: Stage, pace: Pace, alone: list[int], hogged: list[int]) -> None:
    if not alone or not hogged:
        stage.check(UNCHANGED, "medians", held=False, alone=len(alone), hogged=len(hogged))
        stage.conclude(UNCHANGED, "a run has no p50")
        return
    median_alone, median_hogged = statistics.median(alone), statistics.median(hogged)
    change_ratio = median_hogged / median_alone - 1
    spread_ratio = (max(alone) - min(alone)) / median_alone
    figure = (
        f"{median_alone / 1e6:.2f} ms alone, {median_hogged / 1e6:.2f} ms: {change_ratio:+.2%}; "
        f"the runs alone differ by {spread_ratio:.1%} among themselves"
    )
    if stage.quick:
        stage.note("p50", change_ratio=change_ratio, spread_ratio=spread_ratio)
        stage.skip(UNCHANGED, f"not judged by one quick round ({figure})")
        return
    held = abs(change_ratio) <= MOST_CHANGE_RATIO
    stage.check(UNCHANGED, "medians", held=held, change_ratio=change_ratio, spread_ratio=spread_ratio)
    stage.conclude(UNCHANGED, f"{figure}; medians of {pace.rounds} runs each")
