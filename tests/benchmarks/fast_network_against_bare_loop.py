"""A network of a few microseconds through a whole cell, against a bare loop over the same bound session, in turn.

The bare loop is a thread that calls `run_with_iobinding` and looks at the clock. The cell is what a sweep measures:
lanes, worker, warm-up and window. A ratio is taken within its round.

    python tests/benchmarks/fast_network_against_bare_loop.py --write docs/performance.md
"""

from __future__ import annotations

import argparse
import re
import statistics
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import trio
from onnx import helper
from single_cell import measure_cell

from asyncbench.backends.onnx_runtime.backend import OnnxRuntimeBackend
from asyncbench.backends.onnx_runtime.buffers import LaneBuffers
from asyncbench.clock import NS_PER_S, now_ns
from asyncbench.measurement.stopping import StopRule
from asyncbench.sweep.cell import Driver
from asyncbench.testing import engine_request, write_network

BEGIN, END = "<!-- begin: fast -->", "<!-- end: fast -->"
INPUTS = {"x": np.zeros((1, 64), np.float32)}


def write_perceptron(path: Path) -> None:
    """Write a small multilayer perceptron: what is left is the runtime's own cost and ours."""
    nodes = [helper.make_node("MatMul", ["x", "w"], ["product"]), helper.make_node("Relu", ["product"], ["y"])]
    weights = {"w": np.full((64, 256), 0.01, np.float32)}
    write_network(path, nodes, {"x": ["N", 64]}, {"y": ["N", 256]}, constants=weights)


def bare_loop(run: Callable[[], object], window_ns: int) -> float:
    """Return inferences per second."""
    count, started_at_ns, at_ns = 0, now_ns(), 0
    while at_ns < started_at_ns + window_ns:
        run()
        at_ns = now_ns()
        count += 1
    return count * NS_PER_S / (at_ns - started_at_ns)


async def measure(options: argparse.Namespace) -> str:
    """Return the table; the first round warms up and is left out."""
    window_ns = round(options.window * NS_PER_S)
    bare, ratios, in_flight = [], {driver: [] for driver in Driver}, {driver: [] for driver in Driver}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "mlp.onnx"
        write_perceptron(path)
        async with OnnxRuntimeBackend().open_engine(engine_request(model_path=path)) as engine:
            run = LaneBuffers(engine.model, batch=1, inputs=INPUTS).run
            for number in range(options.rounds + 1):
                bare_per_s = await trio.to_thread.run_sync(bare_loop, run, window_ns)
                rule = StopRule(duration_ns=window_ns)
                windows = {driver: await measure_cell(engine, driver, rule, concurrency=1) for driver in Driver}
                if not number:
                    continue
                bare.append(bare_per_s)
                for driver, window in windows.items():
                    ratios[driver].append(window.inferences_per_s / bare_per_s)
                    in_flight[driver].append(window.mean_in_flight)
            version, device = engine.facts.backend_version, engine.facts.device_name
    lines = [
        (
            f"A perceptron of 64 to 256, batch 1, ONNX Runtime {version} on {device}, {options.rounds} rounds of "
            f"{options.window:g} s in turn. Median (lowest to highest). Written by "
            "`python tests/benchmarks/fast_network_against_bare_loop.py --write docs/performance.md`."
        ),
        "",
        "| way | inferences/s | to the bare loop of the same round | in flight of 1 |",
        "| --- | --- | --- | --- |",
        f"| bare loop, bound buffers | {statistics.median(bare):,.0f} | 1 | |",
    ]
    for driver in Driver:
        ratio = statistics.median(ratios[driver])
        spread = f"{ratio:.3f} ({min(ratios[driver]):.3f} to {max(ratios[driver]):.3f})"
        rate = statistics.median(each * base for each, base in zip(ratios[driver], bare, strict=True))
        lines.append(f"| a cell, {driver} | {rate:,.0f} | {spread} | {statistics.median(in_flight[driver]):.2f} |")
    return "\n".join(lines)


def main() -> None:
    """Print the table, and write it where that was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--window", type=float, default=1.0, metavar="SECONDS")
    parser.add_argument("--write", type=Path, help=f"replace what is between {BEGIN} and {END} in this file")
    options = parser.parse_args()
    table = trio.run(measure, options)
    print(table)
    if options.write:
        page = options.write.read_text(encoding="utf-8")
        text = re.sub(f"{BEGIN}.*{END}", lambda _: f"{BEGIN}\n{table}\n{END}", page, flags=re.DOTALL)
        options.write.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
