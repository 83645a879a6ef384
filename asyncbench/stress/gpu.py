"""`gpu`: the whole grid of a network on a GPU that is nearly full, and under small budgets; a hog on the GPU."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

import trio

from asyncbench.child_program import child_command, child_environment
from asyncbench.errors import BackendUnavailableError, BadInputError, EngineBuildError
from asyncbench.results.record import CellRecord
from asyncbench.results.status import ReasonCode, Status
from asyncbench.stress.cgroup import count_shared
from asyncbench.stress.context import ScenarioContext
from asyncbench.stress.device_hog import open_device_hog
from asyncbench.stress.file_state import FileState, read_state
from asyncbench.stress.hogged_cell import HoggedCell, Pace, run_rounds
from asyncbench.stress.sweep_child import run_sweep

RECORDS = "a record for every cell, 0 crashes, exit code 0"
SHARES = "cells that fit by sharing lanes are measured, with fewer resident lanes than their concurrency"
PREDICTS = "device memory is predicted within max(64 MiB, 3 %) on 95 % of the measured cells"
CELLS = 48
GOOD_RATIO = 0.95
_ERROR_BYTES = 64 << 20
_ERROR_RATIO = 0.03
_LIMIT_S = 560.0
_TENSORRT = ("--backend", "tensorrt", "--precision", "fp16")
_SWEEP = ("resnet50", *_TENSORRT, "--engine", "dynamic", "--batch", "1..128:x2")
_GRID = ("--concurrency", "1..32:x2", "--duration", "0.1s", "--warmup", "50ms")
_CRASHES = frozenset({ReasonCode.BENCH_PROCESS_DIED, ReasonCode.OOM_KILLED, ReasonCode.RETRIED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One way to be short of device memory all the time.

    Attributes:
        free_ratio: What others leave free; all where None.
        shares: Whether some cell must have had to share lanes.
    """

    free_ratio: float | None = None
    budget: str | None = None
    shares: bool = False


PARTS: Final[Mapping[str, Part]] = {
    "fill-50": Part(free_ratio=0.5),
    "fill-25": Part(free_ratio=0.25),
    "fill-10": Part(free_ratio=0.1),
    "fill-5": Part(free_ratio=0.05),
    "budget-1GiB": Part(budget="1GiB", shares=True),
    "budget-256MiB": Part(budget="256MiB", shares=True),
}
HOG: Final = "hog"  # the part where memory is short now and then, in the middle of a cell
_ALL: Final = (*PARTS, HOG)
_HOGGED: Final = ("mobilenet", *_TENSORRT, "--engine", "static", "--batch", "16")
_PACE: Final = Pace(cycles=5, hold_s=1.5, rest_s=6.0, rounds=1)


def check_parts(names: tuple[str, ...]) -> None:
    """Refuse parts that there are not.

    Raises:
        BadInputError: One is unknown.
    """
    for name in names:
        if name not in _ALL:
            raise BadInputError(f"--gpu-part {name}: no such part", remedy=f"choose from {', '.join(_ALL)}")


async def run(context: ScenarioContext) -> None:
    """Build the engines where there is room, then run the parts."""
    await _require_gpu(context)
    names = context.settings.gpu_parts or _ALL
    if set(names) & set(PARTS):
        await _build(context, *_SWEEP)
    for name in names:
        if name == HOG:
            await _build(context, *_HOGGED)
            hogged = (*_HOGGED, *_sources(context))
            cell = HoggedCell(arguments=hogged, concurrency=8, open_hog=open_device_hog)
            await run_rounds(context.of_part(name), cell, _PACE)
        else:
            await _run_part(context.of_part(name), name, PARTS[name])


async def _build(context: ScenarioContext, *arguments: str) -> None:
    """Put an engine into the cache: its build is not what is tried here.

    Raises:
        EngineBuildError: It cannot be built.
    """
    one = ("--concurrency", "1", "--iterations", "1", "--warmup", "none")
    code, _, stderr = await _sweep(context, f"build-{arguments[0]}", *arguments, *one)
    if code:
        raise EngineBuildError(f"no engine of {arguments[0]}: {stderr.strip().rpartition(chr(10))[2]}")


async def _require_gpu(context: ScenarioContext) -> None:
    command = child_command("asyncbench.cli.ask_tensorrt")
    done = await trio.run_process(
        command, check=False, capture_stdout=True, capture_stderr=True, env=child_environment()
    )
    if done.returncode:
        stderr = done.stdout.decode(errors="replace").strip() or done.stderr.decode(errors="replace").strip()
        raise BackendUnavailableError(f"no GPU with TensorRT: {stderr.rpartition(chr(10))[2]}")
    context.device = done.stdout.decode().partition("\n")[0]


async def _run_part(context: ScenarioContext, name: str, part: Part) -> None:
    budget = () if part.budget is None else ("--memory-budget", part.budget)
    async with _filled(context, part.free_ratio) as filled:
        code, after, stderr = await _sweep(context, name, *_SWEEP, *_GRID, *budget)
    cells = list(after.read.cells.values()) if after.read else []
    crashes = sum(reason.code in _CRASHES for cell in cells for reason in cell.reasons)
    errors, left_out = after.count(Status.ERROR), after.count(Status.DOES_NOT_FIT)
    held = code == 0 and len(after.final) == CELLS and crashes == 0
    context.check(
        RECORDS,
        name,
        held=held,
        code=code,
        cells=len(after.final),
        crashes=crashes,
        errors=errors,
        stderr="" if held else stderr,
    )
    shared = count_shared(after)
    where = filled or f"--memory-budget {part.budget}"
    measured = after.count(Status.MEASURED) + after.count(Status.IMPRECISE)
    context.conclude(
        RECORDS,
        f"{where}: {len(after.final)} of {CELLS} cells, {measured} measured, "
        f"{left_out} does_not_fit, {crashes} crashes, exit code {code}",
    )
    if part.shares or shared:
        context.check(SHARES, name, held=shared > 0, shared=shared)
        context.conclude(SHARES, f"{where}: {shared} cells")
    _judge_prediction(context, name, where, cells)


def _judge_prediction(context: ScenarioContext, name: str, where: str, cells: list[CellRecord]) -> None:
    measured = [cell for cell in cells if cell.status in (Status.MEASURED, Status.IMPRECISE)]
    gaps = [gap for cell in measured if (gap := gap_bytes(cell)) is not None]
    good = sum(gap <= tolerance_bytes(cell) for cell in measured if (gap := gap_bytes(cell)) is not None)
    if not gaps:
        context.skip(PREDICTS, f"{where}: no cell was measured")
        return
    ratio, worst_bytes = good / len(gaps), max(gaps)
    context.check(PREDICTS, name, held=ratio >= GOOD_RATIO, good=good, of=len(gaps), worst_bytes=worst_bytes)
    context.conclude(PREDICTS, f"{where}: {good} of {len(gaps)} cells, worst {math.ceil(worst_bytes / 2**20)} MiB off")


def gap_bytes(cell: CellRecord) -> int | None:
    """Return how far the prediction of the device memory was off."""
    error = cell.memory.device_error_bytes
    return None if error is None else abs(error)


def tolerance_bytes(cell: CellRecord) -> float:
    """Return how far it may be off."""
    return max(_ERROR_BYTES, _ERROR_RATIO * (cell.memory.used_device_bytes or 0))


async def _sweep(context: ScenarioContext, name: str, *arguments: str) -> tuple[int | None, FileState, str]:
    output = context.folder / f"{name}.jsonl"
    ended = await run_sweep(output, *arguments, *_sources(context), limit_s=_LIMIT_S)
    return ended.code, await trio.to_thread.run_sync(read_state, output), ended.stderr


def _sources(context: ScenarioContext) -> tuple[str, ...]:
    sources = context.settings.tactic_sources
    return ("--tactic-sources", sources) if sources else ()


@asynccontextmanager
async def _filled(context: ScenarioContext, free_ratio: float | None) -> AsyncIterator[str]:
    """Fill the GPU from another process until so much is free; yields that for people."""
    if free_ratio is None:
        yield ""
        return
    async with open_device_hog(context) as hog:
        free_bytes = await hog.grab(left_bytes=int(hog.total_bytes * free_ratio))
        yield f"{free_ratio:.0%} of the GPU free ({free_bytes >> 20:,} MiB)"
