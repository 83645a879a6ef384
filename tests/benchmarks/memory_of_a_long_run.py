"""Resident memory over a run of ten million simulated inferences through the runner: it must stay flat.

The device is simulated and the clock a mock one, so that hours of inferences take a minute of processor time; the
lanes, the workers, the window and the histograms are those of every run.

    python tests/benchmarks/memory_of_a_long_run.py --write docs/performance.md
"""

from __future__ import annotations

import argparse
import gc
import re
import time
from pathlib import Path

import numpy as np
import trio
import trio.testing

from asyncbench.backends.base import EngineRequest
from asyncbench.backends.simulated import SimulatedBackend
from asyncbench.backends.simulated_spec import parse_simulated_spec
from asyncbench.host_memory.probe import HostReading
from asyncbench.measurement.stopping import StopRule
from asyncbench.runner.cell_policy import CellPolicy
from asyncbench.runner.cell_runner import CellRunner
from asyncbench.runner.input_supply import InputSupply
from asyncbench.runner.memory_desk import MemoryDesk, MemoryPolicy
from asyncbench.runner.output_check import OutputCheck
from asyncbench.sweep.cell import Cell, Driver, InputKind, Precision

BEGIN, END = "<!-- begin: memory -->", "<!-- end: memory -->"
DEVICE = {"service": {"kind": "lognormal", "median": "1ms", "sigma": 0.3}, "slots": 4}
PLENTY = HostReading(available_bytes=1 << 40, limit_bytes=None, limited_by="system", pressure_avg10=None, oom_kills=0)
LANES = 8
WARM_SHARE = 0.1


def resident_bytes() -> int:
    """Return the resident size of this process."""
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096


async def main(options: argparse.Namespace) -> tuple[int, int, int]:
    """Return inferences counted, and the resident size after a tenth of them and at the end."""
    request = EngineRequest(
        model_name="simulated",
        model_path=Path("simulated"),
        precision=Precision.FP32,
        device="auto",
        batches=(1,),
        max_concurrency=LANES,
    )
    warm = []

    def progress(_phase: str, count: int, _elapsed_ns: int) -> None:
        if not warm and count >= WARM_SHARE * options.inferences:
            warm.append(resident_bytes())

    async with SimulatedBackend(parse_simulated_spec(DEVICE)).open_engine(request) as engine:
        policy = CellPolicy(
            driver=Driver.PUMP,
            input_kind=InputKind.ZEROS,
            rule=StopRule(iterations=options.inferences),
            warmup_ns=None,
            stall_limit_ns=10**12,
        )
        inputs = InputSupply(
            engine.facts.inputs,
            lambda specs, batch: {spec.name: np.zeros((batch, *spec.item_shape), spec.dtype) for spec in specs},
        )
        await inputs.of(1)  # the mock clock would go on while a thread makes them
        runner = CellRunner(
            engine,
            Cell(model="simulated", precision=Precision.FP32, batch=1, concurrency=LANES),
            policy,
            lanes=LANES,
            desk=MemoryDesk(engine, MemoryPolicy(), batches=(1,), read_host=lambda: PLENTY),
            inputs=inputs,
            outputs=OutputCheck(lambda _: None),
            stop_requested=trio.Event(),
            progress=progress,
        )
        seen = await runner.run()
        return seen.window.n if seen.window else 0, warm[0], resident_bytes()


def report(options: argparse.Namespace) -> str:
    """Run it and return the table."""
    started_s = time.process_time()
    clock = trio.testing.MockClock(autojump_threshold=0)
    count, warm_bytes, end_bytes = trio.run(main, options, clock=clock)
    cpu_s = time.process_time() - started_s
    grown_kib = (end_bytes - warm_bytes) / 1024
    rows = [
        "| simulated inferences | resident after a tenth | at the end | grown | processor time |",
        "| --- | --- | --- | --- | --- |",
        (
            f"| {count:,} | {warm_bytes / 2**20:.1f} MiB | {end_bytes / 2**20:.1f} MiB "
            f"| {grown_kib:,.0f} KiB | {cpu_s:.0f} s |"
        ),
        "",
        "`python tests/benchmarks/memory_of_a_long_run.py`; the aim is at most 1 MiB.",
    ]
    return "\n".join(rows)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--inferences", type=int, default=10_000_000)
    parser.add_argument("--write", type=Path, help=f"replace what is between {BEGIN} and {END} in this file")
    chosen = parser.parse_args()
    table = report(chosen)
    print(table)
    if chosen.write:
        text = chosen.write.read_text()
        chosen.write.write_text(re.sub(f"{BEGIN}.*{END}", f"{BEGIN}\n{table}\n{END}", text, flags=re.DOTALL))
