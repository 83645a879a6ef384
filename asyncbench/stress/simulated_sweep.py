"""A sweep of many short cells on the simulated device, for what happens between processes and not on a device."""

from __future__ import annotations

import json
import os
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import trio

from asyncbench.stress.context import ScenarioContext
from asyncbench.stress.descendants import wait_none_left
from asyncbench.stress.file_state import FileState, Repetition, cells_begun, compare_states, logged_events, read_state
from asyncbench.stress.sweep_child import Child

CELLS = 24
# What a killed sweep's processes may take to end by themselves: a start of Python and a drain.
LEFTOVER_LIMIT_S = 10.0
LIFE_LIMIT_S = 90.0
_CONFIG = {
    "backend": "simulated",
    "warmup": "none",
    "concurrency": "1..4",
    "batch": "1..6",
    "duration": "10ms",
    "seed": 0,
}

PARSES = "the results file parses at any instant, with at most one torn last line"
REPEATS = "going on repeats at most one cell, and changes no line that was there"
ENDS = "what a killed supervisor leaves behind ends by itself"
COMPLETES = "--resume completes the file: each cell has exactly one final record"


@dataclass(slots=True, kw_only=True)
class SweepFile:
    """One results file that is started again and again until it is complete.

    Attributes:
        starts: How often it was started so far.
        bench_kills: How often its bench processes were killed.
    """

    path: Path
    arguments: tuple[str, ...]
    starts: int = 0
    bench_kills: int = 0

    @classmethod
    def make(cls, folder: Path, name: str) -> SweepFile:
        """Write a configuration and return the file that a sweep of it will write."""
        config = folder / f"{name}.json"
        config.write_text(json.dumps(_CONFIG), encoding="utf-8")
        return cls(path=folder / f"{name}.jsonl", arguments=("--config", str(config)))

    @property
    def log(self) -> Path:
        """The log of the present start."""
        return self.path.with_suffix(f".{self.starts}.log")

    @property
    def errors(self) -> Path:
        """The stderr of the present start."""
        return self.path.with_suffix(f".{self.starts}.stderr")

    def begin(self) -> tuple[str, ...]:
        """Count a start, and return its arguments."""
        self.starts += 1
        return (*self.arguments, "--log", str(self.log))

    def look(self, before: FileState) -> tuple[FileState, Repetition]:
        """Return the file now, and what the present start did to it. Blocks."""
        after = read_state(self.path)
        return after, compare_states(before, after, cells_begun(logged_events(self.log)))

    def remove(self) -> None:
        """Remove all that was written for it. Blocks."""
        for path in self.path.parent.glob(f"{self.path.stem}.*"):
            path.unlink()


async def on_files(
    context: ScenarioContext,
    wanted: Callable[[], bool],
    run_file: Callable[[SweepFile, random.Random], Awaitable[None]],
) -> int:
    """Run file after file while more is wanted, as many at once as there are processors; return how many it were.

    Args:
        run_file: Starts the sweep of a file until it is complete, or nothing goes on from there.
    """
    files = 0

    async def work(worker: int) -> None:
        nonlocal files
        rng = context.random(worker)
        for number in count():
            if not wanted():
                return
            await run_file(SweepFile.make(context.folder, f"{context.scenario}-{worker}-{number}"), rng)
            files += 1

    async with trio.open_nursery() as nursery:
        for worker in range(len(os.sched_getaffinity(0))):
            nursery.start_soon(work, worker)
    return files


async def check_leftovers(context: ScenarioContext, child: Child, step: str) -> float:
    """Check that all other processes of an ended sweep end too; return after how many seconds."""
    waited_s = await wait_none_left(child.token, limit_s=LEFTOVER_LIMIT_S)
    context.check(ENDS, step, held=waited_s is not None, waited_s=waited_s)
    return LEFTOVER_LIMIT_S if waited_s is None else waited_s


def check_file(context: ScenarioContext, after: FileState, repetition: Repetition, step: str) -> None:
    """Check that a file parses, and that the next start has at most one cell to repeat."""
    context.check(PARSES, step, held=not after.complaint, complaint=after.complaint)
    held = repetition.one_cell_at_most or bool(after.complaint)
    context.check(REPEATS, step, held=held, lost=str(repetition.lost), repeated=str(repetition.repeated))


def check_complete(context: ScenarioContext, after: FileState, step: str) -> None:
    """Check that each cell has exactly one final record and that the file has a trailer."""
    lines = [after.cell_lines[index] for index in range(CELLS)]
    held = after.final == set(range(CELLS)) and after.has_trailer
    # An interrupted cell has a record that is not final, and a final one after it.
    context.check(COMPLETES, step, held=held, final=len(after.final), max_lines=max(lines), trailer=after.has_trailer)
