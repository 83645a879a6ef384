"""`cgroup`: many sweeps in a group with 64 MiB more than the smallest of them needs, each asking for far more."""

from __future__ import annotations

import trio

from asyncbench.errors import AsyncbenchError, BackendUnavailableError
from asyncbench.memory.host.limited_group import LimitedGroup
from asyncbench.results.status import Status
from asyncbench.stress.context import ScenarioContext
from asyncbench.stress.file_state import FileState, read_state
from asyncbench.stress.group import open_group
from asyncbench.stress.sweep_child import Ended, run_sweep

NETWORK = ("mobilenet", "--backend", "onnxruntime", "--warmup", "none")
ROOM_BYTES = 64 << 20
LOOSE_BYTES = 4 << 30
SWEEPS, QUICK_SWEEPS = 100, 3
SHARED_SWEEPS, QUICK_SHARED_SWEEPS = 10, 1
SWEEP_LIMIT_S = 120.0

SURVIVES = "0 out-of-memory kills of the supervisor, exit code 0"
RECORDS = "every cell has a record"
SHARES = "cells that fit by sharing lanes are measured, with fewer resident lanes than their concurrency"


async def measure_baseline(context: ScenarioContext) -> int:
    """Return the most that a sweep of one cell with one lane takes, supervisor and all.

    Raises:
        BackendUnavailableError: No memory control groups can be made here.
        AsyncbenchError: The sweep failed.
    """
    peak_bytes = None
    # Twice: the first run may write the network into the cache, and its page cache would count.
    for number in range(2):
        output = context.folder / f"baseline-{number}.jsonl"
        async with open_group(LOOSE_BYTES) as group:
            ended = await run_sweep(
                output,
                *NETWORK,
                "--batch",
                "1",
                "--concurrency",
                "1",
                "--duration",
                "200ms",
                limit_s=SWEEP_LIMIT_S,
                group=group,
            )
            peak_bytes = group.read_oom().peak_bytes
        if ended.code != 0:
            raise AsyncbenchError(f"the sweep for the baseline ended with {ended.code}: {ended.stderr}")
    if peak_bytes is None:
        raise BackendUnavailableError("the kernel tells no peak of a memory control group (before Linux 5.19 on v2)")
    return peak_bytes


async def run(context: ScenarioContext) -> None:
    """Measure the baseline, then sweep in the tight group."""
    baseline_bytes = await measure_baseline(context)
    limit_bytes = baseline_bytes + ROOM_BYTES
    context.report_figures("baseline", baseline_bytes=baseline_bytes, limit_bytes=limit_bytes)
    sweeps = QUICK_SWEEPS if context.quick else SWEEPS
    shared_sweeps = QUICK_SHARED_SWEEPS if context.quick else SHARED_SWEEPS
    async with open_group(limit_bytes) as group:
        for number in range(sweeps):
            await _sweep(context, group, f"c=32 b=64 {number}", 1, "--batch", "64", "--concurrency", "32")
        sharing = 0
        for number in range(shared_sweeps):
            axes = ("--batch", "1,64", "--concurrency", "1,32", "--iterations", "64")
            after = await _sweep(context, group, f"c=1,32 b=1,64 {number}", 4, *axes)
            shared = count_shared(after)
            context.check(SHARES, f"c=1,32 b=1,64 {number}", held=shared > 0, shared=shared)
            sharing += shared
        oom_kills = group.read_oom().oom_kills
    where = f"limit {limit_bytes >> 20} MiB = baseline {baseline_bytes >> 20} MiB + 64 MiB"
    context.conclude(
        SURVIVES,
        f"{sweeps} sweeps at c=32 b=64 and {shared_sweeps} of four cells; {where}; {oom_kills} kills in the group",
        oom_kills=oom_kills,
        limit_bytes=limit_bytes,
    )
    context.conclude(RECORDS, f"{sweeps + 4 * shared_sweeps} cells")
    context.conclude(SHARES, f"{sharing} cells")


async def _sweep(context: ScenarioContext, group: LimitedGroup, step: str, cells: int, *axes: str) -> FileState:
    output = context.folder / "sweep.jsonl"
    await trio.Path(output).unlink(missing_ok=True)
    ended = await run_sweep(output, *NETWORK, *axes, limit_s=SWEEP_LIMIT_S, group=group)
    after = await trio.to_thread.run_sync(read_state, output)
    check_survival(context, ended, after, step, cells=cells)
    return after


def check_survival(context: ScenarioContext, ended: Ended, after: FileState, step: str, *, cells: int) -> None:
    """Check exit code and records of a sweep that ran with little memory."""
    held = ended.code == 0
    context.check(SURVIVES, step, held=held, code=ended.code, took_s=ended.took_s, stderr="" if held else ended.stderr)
    counts = {f"{status}": after.count(status) for status in Status if after.count(status)}
    context.check(RECORDS, step, held=len(after.final) == cells, **counts)


def count_shared(state: FileState) -> int:
    """Return how many cells were measured on fewer lanes than their concurrency."""
    cells = state.read.cells.values() if state.read else ()
    measured = [cell for cell in cells if cell.status in (Status.MEASURED, Status.IMPRECISE)]
    return sum((cell.memory.resident_lanes or cell.concurrency) < cell.concurrency for cell in measured)
