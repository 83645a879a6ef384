"""`shrink`: the limit of the group goes down and up while a sweep runs in it."""

from __future__ import annotations

import random
from pathlib import Path

import trio

from asyncbench.memory.host.limited_group import LimitedGroup
from asyncbench.results.status import Status
from asyncbench.stress.cgroup import (
    NETWORK,
    RECORDS,
    SURVIVES,
    check_survival,
    measure_baseline,
)
from asyncbench.stress.context import ScenarioContext
from asyncbench.stress.file_state import read_state
from asyncbench.stress.group import open_group
from asyncbench.stress.sweep_child import Child, open_child, sweep_command

ROUNDS, QUICK_ROUNDS = 10, 1
CELLS = 9
# The supervisor takes some 60 MiB, and a bench process that is killed must be able to start again.
_LOWEST_RATIO = 0.75
_HIGHEST_RATIO = 4.0
_LONGEST_HOLD_S = 1.5
_LIMIT_S = 180.0


async def run(context: ScenarioContext) -> None:
    """Run sweeps of nine cells while the limit moves."""
    baseline_bytes = await measure_baseline(context)
    rounds = QUICK_ROUNDS if context.quick else ROUNDS
    rng = context.random()
    moves, refused, oom_kills, left_out = 0, 0, 0, 0
    for number in range(rounds):
        output = context.folder / f"shrink-{number}.jsonl"
        log = output.with_suffix(".log")
        command = sweep_command(
            output, *NETWORK, "--batch", "1,2,4", "--concurrency", "1,4,16", "--duration", "1s", "--log", str(log)
        )
        async with open_group(int(baseline_bytes * _HIGHEST_RATIO)) as group:
            async with open_child(command, errors=output.with_suffix(".stderr"), group=group) as child:
                made, kept = await _move_limit(child, log, group, rng, baseline_bytes)
                ended = await child.wait(_LIMIT_S)
            oom_kills += group.read_oom().oom_kills or 0
        after = await trio.to_thread.run_sync(read_state, output)
        check_survival(context, ended, after, f"sweep {number}", cells=CELLS)
        moves, refused, left_out = moves + made, refused + kept, left_out + after.count(Status.DOES_NOT_FIT)
    what = (
        f"{rounds} sweeps, {moves} moves of the limit ({refused} refused by the kernel) between "
        f"{int(baseline_bytes * _LOWEST_RATIO) >> 20} and {int(baseline_bytes * _HIGHEST_RATIO) >> 20} MiB"
    )
    context.conclude(SURVIVES, f"{what}; {oom_kills} kills in the group", oom_kills=oom_kills, moves=moves)
    context.conclude(RECORDS, f"{rounds * CELLS} cells, {left_out} of them does_not_fit", does_not_fit=left_out)


async def _move_limit(
    child: Child, log: Path, group: LimitedGroup, rng: random.Random, baseline_bytes: int
) -> tuple[int, int]:
    """Move the limit from the first cell on until the sweep ends; return how often, and how often it was refused."""
    moves = refused = 0
    await child.wait_for_cell(log)
    with trio.move_on_after(_LIMIT_S):
        while not child.ended():
            limit_bytes = int(baseline_bytes * rng.uniform(_LOWEST_RATIO, _HIGHEST_RATIO))
            moves += 1
            refused += not await trio.to_thread.run_sync(group.set_limit, limit_bytes)
            await child.wait(rng.uniform(0.1, _LONGEST_HOLD_S))
    await trio.to_thread.run_sync(group.set_limit, int(baseline_bytes * _HIGHEST_RATIO))
    return moves, refused
