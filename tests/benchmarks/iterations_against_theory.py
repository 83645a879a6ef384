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

import numpy as np
import trio
from trio.testing import MockClock

from asyncbench.backends.base import EngineRequest
from asyncbench.backends.simulated import SimulatedBackend
from asyncbench.backends.simulated_spec import parse_simulated_spec
from asyncbench.clock import NS_PER_S, NS_PER_US
from asyncbench.host_memory.probe import HostReading
from asyncbench.measurement.stopping import StopRule
from asyncbench.measurement.window import WindowResult
from asyncbench.runner.cell_policy import CellPolicy
from asyncbench.runner.cell_runner import CellRunner
from asyncbench.runner.input_supply import InputSupply
from asyncbench.runner.memory_desk import MemoryDesk, MemoryPolicy
from asyncbench.runner.output_check import OutputCheck
from asyncbench.sweep.cell import Cell, Driver, InputKind, Precision

BEGIN, END = "<!-- begin: iterations -->", "<!-- end: iterations -->"
CONCURRENCY = (1, 2, 4, 8, 16)
ITERATIONS = (5, 50, 200, 1_024, 10_000)
SERVICE_US = (20, 140, 20_000)
SLOTS = (64, 3)  # an inference of its own for each lane; lanes that wait for each other inside the device
PLENTY = HostReading(available_bytes=1 << 40, limit_bytes=None, limited_by="system", pressure_avg10=None, oom_kills=0)


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
    return trio.run(run, clock=MockClock(autojump_threshold=0))


def theory_per_s(*, concurrency: int, service_us: int, slots: int) -> float:
    """Return what so many lanes, or slots where these are fewer, do in a second."""
    return min(concurrency, slots) * NS_PER_S / (service_us * NS_PER_US)


async def _measure(
    driver: Driver, *, concurrency: int, iterations: int, device: dict, warmup_ns: int | None
) -> WindowResult:
    request = EngineRequest(
        model_name="simulated",
        model_path=Path("simulated"),
        precision=Precision.FP32,
        device="auto",
        batches=(1,),
        max_concurrency=concurrency,
    )
    policy = CellPolicy(
        driver=driver,
        input_kind=InputKind.ZEROS,
        rule=StopRule(iterations=iterations),
        warmup_ns=warmup_ns,
        stall_limit_ns=60 * NS_PER_S,
    )
    async with SimulatedBackend(parse_simulated_spec(device)).open_engine(request) as engine:
        inputs = InputSupply(
            engine.facts.inputs,
            lambda specs, batch: {spec.name: np.zeros((batch, *spec.item_shape), spec.dtype) for spec in specs},
        )
        await inputs.of(1)  # the mock clock would go on while a thread makes them
        runner = CellRunner(
            engine,
            Cell(model="simulated", precision=Precision.FP32, batch=1, concurrency=concurrency),
            policy,
            lanes=concurrency,
            desk=MemoryDesk(engine, MemoryPolicy(), batches=(1,), read_host=lambda: PLENTY),
            inputs=inputs,
            outputs=OutputCheck(lambda _: None),
            stop_requested=trio.Event(),
            progress=lambda _phase, _count, _elapsed_ns: None,
        )
        window = (await runner.run()).window
    if window is None or window.n != iterations:
        message = f"{window.n if window else 0} inferences were counted, not {iterations}"
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
