"""`gpu`: the whole grid of a network on a GPU that is nearly full, and under small budgets."""

from __future__ import annotations

import json
import math
import subprocess
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass
from typing import Final

import trio

from asyncbench.errors import BackendUnavailableError, BadInputError
from asyncbench.measurement.status import Status
from asyncbench.results.record import CellRecord
from asyncbench.runner.line_stream import read_lines
from asyncbench.stress.cgroup import count_shared
from asyncbench.stress.life import FileState, read_state
from asyncbench.stress.stage import Stage
from asyncbench.stress.sweep_child import PYTHON_M, open_child, run_sweep

RECORDS = "a record for every cell, 0 crashes, exit code 0"
SHARES = "cells that fit by sharing lanes are measured, with fewer resident lanes than their concurrency"
PREDICTS = "device memory is predicted within max(64 MiB, 3 %) on 95 % of the measured cells"
CELLS = 48
GOOD_RATIO = 0.95
_ERROR_BYTES = 64 << 20
_ERROR_RATIO = 0.03
_LIMIT_S = 560.0
_SWEEP = (
    "resnet50",
    "--backend",
    "tensorrt",
    "--precision",
    "fp16",
    "--engine",
    "dynamic",
    "--batch",
    "1..128:x2",
)
_GRID = ("--concurrency", "1..32:x2", "--duration", "0.1s", "--warmup", "50ms")
_CRASHES = frozenset({"bench_process_died", "oom_killed", "retried"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One way to be short of device memory.

    Attributes:
        free_ratio: What others leave free; None for nobody beside us.
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


def check_parts(names: tuple[str, ...]) -> None:
    """Refuse parts that there are not.

    Raises:
        BadInputError: One is unknown.
    """
    for name in names:
        if name not in PARTS:
            raise BadInputError(f"--gpu-part {name}: no such part", remedy=f"choose from {', '.join(PARTS)}")


async def run(stage: Stage) -> None:
    """Build the engine where there is room, then run the parts."""
    await _require_gpu(stage)
    # The build is not what is tried here.
    built = await _sweep(stage, "build", "--concurrency", "1", "--iterations", "1", "--warmup", "none")
    stage.note("build", code=built[0], said=built[2])
    for name in stage.settings.gpu_parts or tuple(PARTS):
        await _run_part(stage.of_part(name), name, PARTS[name])


async def _require_gpu(stage: Stage) -> None:
    command = [*PYTHON_M, "asyncbench.cli.ask_tensorrt"]
    done = await trio.run_process(command, check=False, capture_stdout=True, capture_stderr=True)
    if done.returncode:
        said = done.stdout.decode(errors="replace").strip() or done.stderr.decode(errors="replace").strip()
        raise BackendUnavailableError(f"no GPU with TensorRT: {said.rpartition(chr(10))[2]}")
    stage.note("tensorrt", found=done.stdout.decode().strip())


async def _run_part(stage: Stage, name: str, part: Part) -> None:
    budget = () if part.budget is None else ("--memory-budget", part.budget)
    filler = nullcontext("") if part.free_ratio is None else open_filler(stage, part.free_ratio)
    async with filler as filled:
        code, after, said = await _sweep(stage, name, *_GRID, *budget)
    cells = list(after.read.cells.values()) if after.read else []
    crashes = sum(reason.code in _CRASHES for cell in cells for reason in cell.reasons)
    errors, left_out = after.count(Status.ERROR), after.count(Status.DOES_NOT_FIT)
    held = code == 0 and len(after.final) == CELLS and crashes == 0
    stage.check(
        RECORDS,
        name,
        held=held,
        code=code,
        cells=len(after.final),
        crashes=crashes,
        errors=errors,
        said="" if held else said,
    )
    shared = count_shared(after)
    where = filled or f"--memory-budget {part.budget}"
    measured = after.count(Status.MEASURED) + after.count(Status.IMPRECISE)
    stage.conclude(
        RECORDS,
        f"{where}: {len(after.final)} of {CELLS} cells, {measured} measured, "
        f"{left_out} does_not_fit, {crashes} crashes, exit code {code}",
    )
    if part.shares or shared:
        stage.check(SHARES, name, held=shared > 0, shared=shared)
        stage.conclude(SHARES, f"{where}: {shared} cells")
    _judge_prediction(stage, name, where, cells)


def _judge_prediction(stage: Stage, name: str, where: str, cells: list[CellRecord]) -> None:
    measured = [cell for cell in cells if cell.status in (Status.MEASURED, Status.IMPRECISE)]
    gaps = [gap for cell in measured if (gap := gap_bytes(cell)) is not None]
    good = sum(gap <= tolerance_bytes(cell) for cell in measured if (gap := gap_bytes(cell)) is not None)
    if not gaps:
        stage.skip(PREDICTS, f"{where}: no cell was measured")
        return
    ratio, worst_bytes = good / len(gaps), max(gaps)
    stage.check(PREDICTS, name, held=ratio >= GOOD_RATIO, good=good, of=len(gaps), worst_bytes=worst_bytes)
    stage.conclude(PREDICTS, f"{where}: {good} of {len(gaps)} cells, worst {math.ceil(worst_bytes / 2**20)} MiB off")


def gap_bytes(cell: CellRecord) -> int | None:
    """Return how far the prediction of the device memory was off."""
    error = cell.memory.device_error_bytes
    return None if error is None else abs(error)


def tolerance_bytes(cell: CellRecord) -> float:
    """Return how far it may be off."""
    return max(_ERROR_BYTES, _ERROR_RATIO * (cell.memory.used_device_bytes or 0))


async def _sweep(stage: Stage, name: str, *arguments: str) -> tuple[int | None, FileState, str]:
    output = stage.folder / f"{name}.jsonl"
    sources = ("--tactic-sources", stage.settings.tactic_sources) if stage.settings.tactic_sources else ()
    ended = await run_sweep(output, *_SWEEP, *arguments, *sources, limit_s=_LIMIT_S)
    return ended.code, await trio.to_thread.run_sync(read_state, output), ended.said


@asynccontextmanager
async def open_filler(stage: Stage, free_ratio: float) -> AsyncIterator[str]:
    """Fill the GPU from another process until so much is free; yields that for people.

    Raises:
        BackendUnavailableError: It cannot be filled.
    """
    command = [*PYTHON_M, "asyncbench.stress.gpu_filler", str(free_ratio)]
    pipe = subprocess.PIPE
    async with open_child(command, errors=stage.folder / "filler.stderr", stdin=pipe, stdout=pipe) as child:
        if child.process.stdout is None:
            raise ValueError("the filler needs pipes")
        async for line in read_lines(child.process.stdout):
            found = json.loads(line)
            yield f"{free_ratio:.0%} of the GPU free ({found['free_bytes'] >> 20} MiB)"
            return
        await child.process.wait()
        raise BackendUnavailableError(f"the GPU cannot be filled: {child.said().strip()}")
