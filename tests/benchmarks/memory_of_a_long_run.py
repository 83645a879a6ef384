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
from functools import partial
from pathlib import Path

from single_cell import measure_cell

from asyncbench.measurement.stopping import StopRule
from asyncbench.sweep.cell import Driver
from asyncbench.testing import run_on_mock_clock, simulated_engine

BEGIN, END = "<!-- begin: memory -->", "<!-- end: memory -->"
DEVICE = {"service": {"kind": "lognormal", "median": "1ms", "sigma": 0.3}, "slots": 4}
LANES = 8
WARM_SHARE = 0.1


def resident_bytes() -> int:
    """Return the resident size of this process."""
    gc.collect()
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * 4096


async def main(options: argparse.Namespace) -> tuple[int, int, int]:
    """Return inferences counted, and the resident size after a tenth of them and at the end."""
    warm = []

    def progress(_phase: str, count: int, _elapsed_ns: int) -> None:
        if not warm and count >= WARM_SHARE * options.inferences:
            warm.append(resident_bytes())

    async with simulated_engine(**DEVICE) as engine:
        rule = StopRule(iterations=options.inferences)
        window = await measure_cell(engine, Driver.PUMP, rule, concurrency=LANES, progress=progress)
        return window.n, warm[0], resident_bytes()


def report(options: argparse.Namespace) -> str:
    """Run it and return the table."""
    started_s = time.process_time()
    count, warm_bytes, end_bytes = run_on_mock_clock(partial(main, options))
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
