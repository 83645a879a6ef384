"""`soak`: hours of one sweep whose cells repeat; memory, descriptors and threads must not grow."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

import trio

from asyncbench.clock import NS_PER_S
from asyncbench.results.status import Status
from asyncbench.stress.context import ScenarioContext
from asyncbench.stress.descendants import find_bench
from asyncbench.stress.file_state import FileState, cells_begun, logged_events, read_state
from asyncbench.stress.sweep_child import Child, open_child, sweep_command

FLAT = "resident memory grows by less than 16 MiB, in the supervisor and in the bench process"
STEADY = "threads and descriptors do not grow"
ENDS_WELL = "every cell is measured, exit code 0"
MAX_GROWTH_BYTES = 16 << 20
CELL_S = 4
AXES = {"concurrency": [1, 2, 4], "batch": [1, 4]}
_CELLS_PER_LAP = 6
_WARMUP_LAPS = 2
_FEWEST_LAPS = 5
_SAMPLE_S = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Footprint:
    """Memory, descriptors and threads of a process.

    Of several looks memory counts at its most; threads and descriptors at their least, since some are held for a
    moment only, and what leaks is there at every look.
    """

    resident_bytes: int
    threads: int
    descriptors: int

    def joined(self, other: Footprint | None) -> Footprint:
        """Return what counts of two looks."""
        if other is None:
            return self
        return Footprint(
            resident_bytes=max(self.resident_bytes, other.resident_bytes),
            threads=min(self.threads, other.threads),
            descriptors=min(self.descriptors, other.descriptors),
        )


def read_footprint(pid: int) -> Footprint | None:
    """Return what a process holds now, or None where it is gone. Blocks."""
    folder = Path(f"/proc/{pid}")
    try:
        status = dict(line.split(":", 1) for line in (folder / "status").read_text().splitlines())
        descriptors = sum(1 for _ in (folder / "fd").iterdir())
    except OSError:
        return None
    if "VmRSS" not in status:
        return None  # a zombie
    resident_bytes = int(status["VmRSS"].split()[0]) << 10
    return Footprint(resident_bytes=resident_bytes, threads=int(status["Threads"]), descriptors=descriptors)


async def run(context: ScenarioContext) -> None:
    """Run one sweep of many laps, all alike, and compare what its processes hold in each lap."""
    laps = max(_FEWEST_LAPS, context.settings.soak_ns // (NS_PER_S * CELL_S * _CELLS_PER_LAP))
    output, config = context.folder / "soak.jsonl", context.folder / "soak.json"
    lap = {"backend": "onnxruntime", "duration": f"{CELL_S}s", "warmup": "100ms", **AXES}
    config.write_text(json.dumps([lap] * laps), encoding="utf-8")
    log = output.with_suffix(".log")
    command = sweep_command(output, "--config", str(config), "--log", str(log))
    async with open_child(command, errors=output.with_suffix(".stderr")) as child:
        found = await _watch(context, child, log)
        ended = await child.wait(60.0)
    after = await trio.to_thread.run_sync(read_state, output)
    measured = after.count(Status.MEASURED) + after.count(Status.IMPRECISE)
    cells = laps * _CELLS_PER_LAP
    held = ended.code == 0 and measured == cells
    context.check(ENDS_WELL, "end", held=held, code=ended.code, measured=measured, others=_others(after))
    growths = [judge_laps(context, name, by_lap) for name, by_lap in found.items()]
    what = f"{laps} laps of {_CELLS_PER_LAP} cells, {ended.took_s / 3600:.2f} h"
    context.conclude(ENDS_WELL, what)
    context.conclude(FLAT, f"{what}: {'; '.join(growths)}")
    context.conclude(STEADY, what)


def _others(after: FileState) -> str:
    """Return what became of the cells that were not measured."""
    cells = after.read.cells.values() if after.read else ()
    others = (cell for cell in cells if cell.status not in (Status.MEASURED, Status.IMPRECISE))
    return "; ".join(f"{cell.index} {cell.status}: {cell.reasons[0].text}" for cell in others if cell.reasons)


async def _watch(context: ScenarioContext, child: Child, log: Path) -> dict[str, dict[int, Footprint]]:
    """Return the most of each lap, by process."""
    found: dict[str, dict[int, Footprint]] = {"supervisor": {}, "bench": {}}
    while not child.ended():
        begun = cells_begun(await trio.to_thread.run_sync(logged_events, log))
        pids = {"supervisor": child.process.pid, "bench": await find_bench(child.token)}
        for name, pid in pids.items():
            footprint = None if pid is None or not begun else await trio.to_thread.run_sync(read_footprint, pid)
            if footprint is not None:
                lap = max(begun) // _CELLS_PER_LAP
                found[name][lap] = footprint.joined(found[name].get(lap))
        await child.wait(_SAMPLE_S)
    for name, by_lap in found.items():
        for lap, most in by_lap.items():
            context.report_figures(
                f"{name} lap {lap}",
                resident_bytes=most.resident_bytes,
                threads=most.threads,
                descriptors=most.descriptors,
            )
    return found


def judge_laps(context: ScenarioContext, name: str, by_lap: dict[int, Footprint]) -> str:
    """Compare the last third of the laps with the first one after the warm-up; say what memory did.

    Means: a lap's most swings by some 20 MiB as engines are opened and closed, whatever lap it is.
    """
    laps = [by_lap[lap] for lap in sorted(by_lap) if lap >= _WARMUP_LAPS]
    third = len(laps) // 3
    if not third:
        context.check(FLAT, name, held=False, laps=len(laps))
        return f"{name} was seen in {len(laps)} laps"
    first, last = laps[:third], laps[-third:]
    before_bytes, after_bytes = (int(fmean(most.resident_bytes for most in each)) for each in (first, last))
    more_threads = last[-1].threads - first[0].threads
    more_descriptors = last[-1].descriptors - first[0].descriptors
    held = after_bytes - before_bytes < MAX_GROWTH_BYTES
    context.check(FLAT, name, held=held, before_bytes=before_bytes, after_bytes=after_bytes)
    held = more_threads <= 0 and more_descriptors <= 0
    context.check(STEADY, name, held=held, more_threads=more_threads, more_descriptors=more_descriptors)
    return f"{name} {before_bytes >> 20} to {after_bytes >> 20} MiB"
