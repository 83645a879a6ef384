"""`cancel`: floods of SIGINT and SIGTERM at random instants."""

from __future__ import annotations

import random
import signal
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import trio

from asyncbench.clock import NS_PER_S, now_ns
from asyncbench.errors import ExitCode
from asyncbench.stress.context import ScenarioContext
from asyncbench.stress.file_state import FileState, logged_events, read_state
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

FLOODS, QUICK_FLOODS = 200, 6
ENDS_SOON = "a sweep that is told to stop ends within seconds, with exit code 130"
TRAILER = "after one signal the file has a trailer"
_LONGEST_WAIT_S = 1.5
_CELL_RATIO = 0.6
_MAX_SIGNALS = 6
_LONGEST_GAP_S = 0.05
_END_LIMIT_S = 20.0
_DIED_OF_IT = {-signal.SIGINT, -signal.SIGTERM}
# Before a line of ours runs Python is in the middle of imports: a traceback and 1 is its way.
_EARLY_CODES = {ExitCode.INTERRUPTED, ExitCode.INTERNAL, *_DIED_OF_IT}
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


@dataclass(slots=True, kw_only=True)
class Tally:
    """Counts of the floods so far.

    Attributes:
        early: Floods that came before the sweep listened to signals.
    """

    wanted: int
    begun: int = 0
    signals: int = 0
    early: int = 0
    longest_end_s: float = 0.0

    @property
    def left(self) -> bool:
        """True while more floods are wanted."""
        return self.begun < self.wanted


@dataclass(frozen=True, slots=True, kw_only=True)
class Flood:
    """Signals that were sent to one start of a sweep, and the state they met.

    Attributes:
        listened: Whether the sweep had come so far as to listen to signals.
        after: The results file when all was over.
    """

    signals: int
    listened: bool
    after: FileState


async def run(context: ScenarioContext) -> None:
    """Flood until it was enough, on as many files at once as there are processors."""
    tally = Tally(wanted=QUICK_FLOODS if context.quick else FLOODS)
    files = await on_files(context, lambda: tally.left, partial(_run_file, context, tally))
    floods = f"{tally.begun} floods of 1 to {_MAX_SIGNALS} signals, {tally.early} of them before it listened"
    context.conclude(ENDS_SOON, f"{floods}; ended after {tally.longest_end_s:.1f} s at most", signals=tally.signals)
    context.conclude(PARSES, floods)
    context.conclude(TRAILER, floods)
    context.conclude(REPEATS, floods)
    context.conclude(ENDS, floods)
    context.conclude(COMPLETES, f"{files} files")


async def _run_file(context: ScenarioContext, tally: Tally, file: SweepFile, rng: random.Random) -> None:
    while True:
        before = await trio.to_thread.run_sync(read_state, file.path)
        if before.complaint:
            return  # it was reported
        step = f"{file.path.stem} start {file.starts + 1}"
        command = sweep_command(file.path, *file.begin(), resume=before.read is not None)
        async with open_child(command, errors=file.errors) as child:
            signals = await _flood(child, file.log, tally, rng)
            flooded_at_ns = now_ns()
            ended = await child.wait(_END_LIMIT_S if signals else LIFE_LIMIT_S)
            if signals:
                tally.longest_end_s = max(tally.longest_end_s, (now_ns() - flooded_at_ns) / NS_PER_S)
            await check_leftovers(context, child, step)
        after, repetition = await trio.to_thread.run_sync(file.look, before)
        check_file(context, after, repetition, step)
        events = await trio.to_thread.run_sync(logged_events, file.log)
        listened = any(event.get("event") in ("device.started", "signal") for event in events)
        flood = Flood(signals=signals, listened=listened, after=after)
        if _judge(context, tally, flood, ended, step):
            check_complete(context, after, step)
            await trio.to_thread.run_sync(file.remove)
            return


async def _flood(child: Child, log: Path, tally: Tally, rng: random.Random) -> int:
    """Send signals from a random instant on; return how many, 0 where the sweep was done before."""
    if not tally.left:
        return 0
    # A start lasts longer than all of the cells: chance alone would hardly ever meet a cell.
    if rng.random() < _CELL_RATIO:
        await child.wait_for_cell(log)
    await child.wait(rng.uniform(0, _LONGEST_WAIT_S))
    if child.ended() or not tally.left:
        return 0
    tally.begun += 1
    count = 0
    # What one signal does is promised more about than what a flood does.
    for _ in range(1 if tally.begun % 2 else rng.randint(2, _MAX_SIGNALS)):
        if child.ended():
            break
        child.send_signal(rng.choice(_SIGNALS))
        count += 1
        await child.wait(rng.uniform(0, _LONGEST_GAP_S))
    tally.signals += count
    return count


def _judge(context: ScenarioContext, tally: Tally, flood: Flood, ended: Ended, step: str) -> bool:
    """Check how a sweep ended, and return whether it is complete."""
    after = flood.after
    trailer_code = after.read.trailer.exit_code if after.read and after.read.trailer else None
    done = trailer_code in (ExitCode.OK, ExitCode.CELLS_FAILED)
    tally.early += not done and not flood.listened
    held = ended.code in _codes(flood, done=done)
    stderr = "" if held else ended.stderr[-600:]
    context.check(
        ENDS_SOON,
        step,
        held=held,
        code=ended.code,
        signals=flood.signals,
        listened=flood.listened,
        done=done,
        stderr=stderr,
    )
    if flood.listened and flood.signals == 1 and after.read is not None:
        context.check(TRAILER, step, held=after.has_trailer)
    return done


def _codes(flood: Flood, *, done: bool) -> set[int]:
    """Return how a sweep may end."""
    if done:
        # What came after the trailer was written found nothing left to stop.
        return {ExitCode.OK, ExitCode.INTERRUPTED, *_DIED_OF_IT} if flood.signals else {ExitCode.OK}
    return {ExitCode.INTERRUPTED} if flood.listened else _EARLY_CODES
