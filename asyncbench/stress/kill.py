"""`kill`: SIGKILL at random instants, of the supervisor or the bench process, again and again until files are whole."""

from __future__ import annotations

import os
import random
import signal
from contextlib import suppress
from dataclasses import dataclass

import trio

from asyncbench.results.status import Status
from asyncbench.stress.context import ScenarioContext
from asyncbench.stress.descendants import find_bench
from asyncbench.stress.file_state import FileState, read_state, tear_last_line
from asyncbench.stress.simulated_sweep import (
    COMPLETES,
    ENDS,
    LIFE_LIMIT_S,
    PARSES,
    REPEATS,
    SweepFile,
    check_complete,
    check_file,
    check_leftovers,
    on_files,
)
from asyncbench.stress.sweep_child import Child, Ended, open_child, sweep_command
from asyncbench.units import counted

KILLS, QUICK_KILLS = 1000, 10
NOTICE = "a torn last line is dropped on --resume, with a notice"
ONE_CELL = "a killed bench process costs at most the cell that ran"
# Longer than a start and a few cells: kills fall into all of it.
_LONGEST_WAIT_S = 1.5
_CELL_RATIO = 0.6
_SUPERVISOR_RATIO = 0.5
_TEAR_RATIO = 0.1  # a kill hardly ever tears a line of some kilobytes: these are torn by hand, as by a loss of power


@dataclass(slots=True, kw_only=True)
class Tally:
    """Counts of the kills so far.

    Attributes:
        begun: Kills that somebody is at, done or not.
    """

    wanted: int
    begun: int = 0
    supervisor: int = 0
    bench: int = 0
    torn: int = 0
    longest_leftover_s: float = 0.0

    @property
    def left(self) -> bool:
        """True while more kills are wanted."""
        return self.begun < self.wanted


async def run(context: ScenarioContext) -> None:
    """Kill until it was enough, on as many files at once as there are processors."""
    tally = Tally(wanted=QUICK_KILLS if context.quick else KILLS)
    files = await on_files(context, lambda: tally.left, lambda file, rng: _Victim(context, tally, file, rng).run())
    kills = f"{tally.supervisor} kills of the supervisor, {tally.bench} of the bench process, {files} files"
    context.conclude(PARSES, kills, kills=tally.supervisor + tally.bench)
    context.conclude(REPEATS, kills, files=files)
    context.conclude(ONE_CELL, f"{tally.bench} kills of the bench process")
    context.conclude(ENDS, f"after {tally.longest_leftover_s:.1f} s at most", longest_s=tally.longest_leftover_s)
    context.conclude(COMPLETES, f"{files} files")
    context.conclude(NOTICE, f"{tally.torn} torn lines, torn by hand after a kill")


class _Victim:
    """One file, from its first start until it is complete."""

    def __init__(self, context: ScenarioContext, tally: Tally, file: SweepFile, rng: random.Random) -> None:
        self._context = context
        self._tally = tally
        self._file = file
        self._dice = rng

    async def run(self) -> None:
        before = await trio.to_thread.run_sync(read_state, self._file.path)
        while not await self._start(before):
            before = await trio.to_thread.run_sync(self._tear)
            if before.complaint:
                return  # it was reported, and nothing goes on from here
        await trio.to_thread.run_sync(self._file.remove)

    async def _start(self, before: FileState) -> bool:
        """Start the sweep and kill what there is to kill; return whether the file is complete."""
        file, step = self._file, f"{self._file.path.stem} start {self._file.starts + 1}"
        bench_kills = file.bench_kills
        command = sweep_command(file.path, *file.begin(), resume=before.read is not None)
        async with open_child(command, errors=file.errors) as child:
            ended = await self._kill_until_done(child)
            leftover_s = await check_leftovers(self._context, child, step)
        self._tally.longest_leftover_s = max(self._tally.longest_leftover_s, leftover_s)
        self._check_notice(before, ended, step)
        after, repetition = await trio.to_thread.run_sync(file.look, before)
        check_file(self._context, after, repetition, step)
        errors = after.count(Status.ERROR)
        self._context.check(ONE_CELL, step, held=errors <= file.bench_kills, errors=errors, kills=file.bench_kills)
        return self._is_over(ended, after, step, bench_killed=file.bench_kills > bench_kills)

    def _is_over(self, ended: Ended, after: FileState, step: str, *, bench_killed: bool) -> bool:
        # 1: its bench process was killed before there was an engine.
        if ended.code == -signal.SIGKILL or (ended.code == 1 and bench_killed and not after.has_trailer):
            return False
        check_complete(self._context, after, f"{step}, exit code {ended.code}: {ended.stderr[-300:]}")
        return True

    async def _kill_until_done(self, child: Child) -> Ended:
        """Kill at random instants until the sweep has ended, or enough was killed."""
        while not child.ended() and self._tally.left:
            # A start lasts longer than all of the cells: chance alone would hardly ever meet a cell.
            if self._dice.random() < _CELL_RATIO:
                await child.wait_for_cell(self._file.log)
            await child.wait(self._dice.uniform(0, _LONGEST_WAIT_S))
            if child.ended() or not self._tally.left:
                break
            self._tally.begun += 1
            if self._dice.random() < _SUPERVISOR_RATIO or not await self._kill_bench(child):
                self._kill_supervisor(child)
        return await child.wait(LIFE_LIMIT_S)

    async def _kill_bench(self, child: Child) -> bool:
        pid = await find_bench(child.token)
        if pid is None:
            return False
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
            self._tally.bench += 1
            self._file.bench_kills += 1
        return True

    def _kill_supervisor(self, child: Child) -> None:
        child.send_signal(signal.SIGKILL)
        self._tally.supervisor += 1

    def _tear(self) -> FileState:
        """Return the file as the next start finds it: now and then torn."""
        state = read_state(self._file.path)
        if state.read is None or state.read.torn_bytes or self._dice.random() >= _TEAR_RATIO:
            return state
        tear_last_line(self._file.path, state, self._dice.randrange(1, 2000))
        return read_state(self._file.path)

    def _check_notice(self, before: FileState, ended: Ended, step: str) -> None:
        """Check the notice, where the start came so far as to say anything."""
        torn_bytes = before.read.torn_bytes if before.read else 0
        if torn_bytes and "going on with" in ended.stderr:
            self._tally.torn += 1
            held = f"its last line was cut off and is dropped ({counted(torn_bytes, 'byte')})" in ended.stderr
            self._context.check(NOTICE, step, held=held, torn_bytes=torn_bytes)
