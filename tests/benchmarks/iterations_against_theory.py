"""Throughput by `--iterations` against theory, on a simulated device with a constant service time.

What runs is all that a cell runs: lanes, workers by either driver, warm-up and window. The clock is a mock one, so that
nothing but the definition of the window can make a difference.

    python tests/benchmarks/iterations_against_theory.py --write docs/statistics.md
"""

from __future__ import annotations

import argparse
import re
from functools import partial
from pathlib import Path

from single_cell import measure_cell

from asyncbench.clock import NS_PER_S, NS_PER_US
from asyncbench.measurement.stopping import StopRule
from asyncbench.measurement.window import WindowResult
from asyncbench.sweep.cell import Driver
from asyncbench.testing import run_on_mock_clock, simulated_engine

BEGIN, END = "<!-- begin: iterations -->", "<!-- end: iterations -->"
CONCURRENCY = (1, 2, 4, 8, 16)
ITERATIONS = (5, 50, 200, 1_024, 10_000)
SERVICE_US = (20, 140, 20_000)
SLOTS = (64, 3)  # an inference of its own for each lane; lanes that wait for each other inside the device


def measured(
    driver: Driver, *, concurrency: int, iterations: int, service_us: int, slots: int, warmup_ns: int | None = None
) -> WindowResult:
    """Return the window of one cell."""
    run = partial(
        _measure,
        driver,
        concurrency=concurrency,
        iterations=iterations,
        device={"service": {"kind": "constant", "median": f"{service_us}us"}, "slots": slots},
        warmup_ns=warmup_ns,
    )
    return run_on_mock_clock(run)


def theory_per_s(*, concurrency: int, service_us: int, slots: int) -> float:
    """Return what so many lanes, or slots where these are fewer, do in a second."""
    return min(concurrency, slots) * NS_PER_S / (service_us * NS_PER_US)


async def _measure(
    driver: Driver, *, concurrency: int, iterations: int, device: dict, warmup_ns: int | None
) -> WindowResult:
    async with simulated_engine(**device) as engine:
        rule = StopRule(iterations=iterations)
        window = await measure_cell(engine, driver, rule, concurrency=concurrency, warmup_ns=warmup_ns)
    if window.n != iterations:
        message = f"{window.n} inferences were counted, not {iterations}"
        raise SystemExit(message)
    return window


def largest_error(driver: Driver, *, concurrency: int, iterations: int) -> float:
    """Return how far off theory the worst service time is, with its sign."""
    errors = []
    for service_us in SERVICE_US:
        for slots in SLOTS:
            window = measured(
                driver, concurrency=concurrency, iterations=iterations, service_us=service_us, slots=slots
            )
            theory = theory_per_s(concurrency=concurrency, service_us=service_us, slots=slots)
            errors.append(window.inferences_per_s / theory - 1)
    return max(errors, key=abs)


def table() -> str:
    """Return the largest error of each driver, concurrency and number."""
    lines = [
        f"| driver | c | {' | '.join(f'{n:,} iterations' for n in ITERATIONS)} |",
        f"| --- | --- | {' | '.join('---' for _ in ITERATIONS)} |",
    ]
    for driver in Driver:
        for concurrency in CONCURRENCY:
            errors = (largest_error(driver, concurrency=concurrency, iterations=n) for n in ITERATIONS)
            lines.append(f"| {driver} | {concurrency} | {' | '.join(f'{error:+.3%}' for error in errors)} |")
    services = ", ".join(f"{us:,} µs" for us in SERVICE_US)
    lines += [
        "",
        (
            f"The largest error of constant service times of {services}, on a device with {SLOTS[0]} slots and with "
            f"{SLOTS[1]}. `python tests/benchmarks/iterations_against_theory.py --write docs/statistics.md`."
        ),
    ]
    return "\n".join(lines)


def main() -> None:
    """Print the table, and write it where that was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", type=Path, help=f"replace what is between {BEGIN} and {END} in this file")
    options = parser.parse_args()
    text = table()
    print(text)
    if options.write:
        page = options.write.read_text(encoding="utf-8")
        options.write.write_text(re.sub(f"{BEGIN}.*{END}", lambda _: f"{BEGIN}\n{text}\n{END}", page, flags=re.DOTALL))


if __name__ == "__main__":
    main()
