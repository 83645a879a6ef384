"""`soak`: hours of one sweep whose cells repeat; memory, descriptors and threads must not grow."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import trio

from asyncbench.clock import NS_PER_S
from asyncbench.measurement.status import Status
from asyncbench.stress.descendants import find_bench
from asyncbench.stress.life import cells_begun, logged_events, read_state
from asyncbench.stress.stage import Stage
from asyncbench.stress.sweep_child import Child, open_child, sweep_command

FLAT = "resident memory after the warm-up grows by less than 16 MiB, in the supervisor and in the bench process"
STEADY = "threads and descriptors after the warm-up do not grow"
ENDS_WELL = "every cell is measured, exit code 0"
MOST_GROWTH_BYTES = 16 << 20
CELL_S = 4
AXES = {"concurrency": [1, 2, 4], "batch": [1, 4]}
_CELLS_PER_LAP = 6
_WARMUP_LAPS = 2
_FEWEST_LAPS = 5
_SAMPLE_S = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Footprint:
    """What a process holds; the most of several looks."""

    resident_bytes: int = 0
    threads: int = 0
    descriptors: int = 0

    def most(self, other: Footprint) -> Footprint:
        """Return the larger of each."""
        return Footprint(
            resident_bytes=max(self.resident_bytes, other.resident_bytes),
            threads=max(self.threads, other.threads),
            descriptors=max(self.descriptors, other.descriptors),
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


async def run(stage: Stage) -> None:
    """Run one sweep of many laps, all alike, and compare what its processes hold in each lap."""
    laps = max(_FEWEST_LAPS, stage.settings.soak_ns // (NS_PER_S * CELL_S * _CELLS_PER_LAP))
    output, config = stage.folder / "soak.jsonl", stage.folder / "soak.json"
    lap = {"backend": "onnxruntime", "duration": f"{CELL_S}s", "warmup": "100ms", **AXES}
    config.write_text(json.dumps([lap] * laps), encoding="utf-8")
    log = output.with_suffix(".log")
    command = sweep_command(output, "--config", str(config), "--log", str(log))
    async with open_child(command, errors=output.with_suffix(".stderr")) as child:
        found = await _watch(stage, child, log)
        ended = await child.wait(60.0)
    after = await trio.to_thread.run_sync(read_state, output)
    measured = after.count(Status.MEASURED) + after.count(Status.IMPRECISE)
    cells = laps * _CELLS_PER_LAP
    stage.check(ENDS_WELL, "end", held=ended.code == 0 and measured == cells, code=ended.code, measured=measured)
    for name, by_lap in found.items():
        _judge(stage, name, by_lap)
    what = f"{laps} laps of {_CELLS_PER_LAP} cells, {ended.took_s / 3600:.2f} h"
    for promise in (ENDS_WELL, FLAT, STEADY):
        stage.conclude(promise, what)


async def _watch(stage: Stage, child: Child, log: Path) -> dict[str, dict[int, Footprint]]:
    """Return the most of each lap, by process."""
    found: dict[str, dict[int, Footprint]] = {"supervisor": {}, "bench": {}}
    while not child.ended():
        begun = cells_begun(await trio.to_thread.run_sync(logged_events, log))
        pids = {"supervisor": child.process.pid, "bench": await find_bench(child.token)}
        for name, pid in pids.items():
            footprint = None if pid is None or not begun else await trio.to_thread.run_sync(read_footprint, pid)
            if footprint is not None:
                lap = max(begun) // _CELLS_PER_LAP
                found[name][lap] = footprint.most(found[name].get(lap, Footprint()))
        await child.wait(_SAMPLE_S)
    for name, by_lap in found.items():
        for lap, most in by_lap.items():
            stage.note(
                f"{name} lap {lap}",
                resident_bytes=most.resident_bytes,
                threads=most.threads,
                descriptors=most.descriptors,
            )
    return found


def _judge(stage: Stage, name: str, by_lap: dict[int, Footprint]) -> None:
    """Compare all later laps with the first one after the warm-up."""
    first = by_lap.get(_WARMUP_LAPS, Footprint())
    last = [most for lap, most in by_lap.items() if lap > _WARMUP_LAPS]
    growth_bytes = max((most.resident_bytes for most in last), default=0) - first.resident_bytes
    more_threads = max((most.threads for most in last), default=0) - first.threads
    more_descriptors = max((most.descriptors for most in last), default=0) - first.descriptors
    stage.check(FLAT, name, held=bool(last) and growth_bytes < MOST_GROWTH_BYTES, growth_bytes=growth_bytes)
    held = bool(last) and more_threads <= 0 and more_descriptors <= 0
    stage.check(STEADY, name, held=held, more_threads=more_threads, more_descriptors=more_descriptors)
