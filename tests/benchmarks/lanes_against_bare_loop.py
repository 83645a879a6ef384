"""Throughput of ONNX Runtime through the lanes against bare loops around the same session, in one run.

Bare loops are threads that call the session and look at the clock, with no Trio and no credits. The four ways take
turns within each round, in a rotating order, so that whatever else the machine does meets all of them; a ratio is
taken within its round.

    python tests/benchmarks/lanes_against_bare_loop.py --model FILE --write docs/performance.md
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import trio

from asyncbench.backends.base import Lane
from asyncbench.backends.onnx_runtime.backend import OnnxRuntimeBackend, OnnxRuntimeEngine
from asyncbench.backends.onnx_runtime.buffers import LaneBuffers
from asyncbench.clock import NS_PER_S, now_ns
from asyncbench.testing import engine_request

REPOSITORY = Path(__file__).parents[2]
DEFAULT_MODEL = REPOSITORY.parent / "shared" / "models" / "mobilenet_v1_1.0_224.onnx"
BEGIN, END = "<!-- begin: lanes -->", "<!-- end: lanes -->"
BOUND = "bare loop, bound buffers"
BARE = "bare loop, session.run"

Way = Callable[[OnnxRuntimeEngine, dict, int, int], Awaitable[float]]


async def main() -> None:
    options = parse_options()
    request = engine_request(
        model_path=options.model, batches=(options.batch,), max_concurrency=max(options.concurrency)
    )
    async with OnnxRuntimeBackend().open_engine(request) as engine:
        rows = [await measure(engine, concurrency, options) for concurrency in options.concurrency]
        table = render(rows, engine, options)
    print(table)
    if options.write:
        replace_block(options.write, table)


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, default=DEFAULT_MODEL)
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--concurrency", type=int, nargs="+", default=[1, 2, 3, 4])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--window", type=float, default=2.0, metavar="SECONDS")
    parser.add_argument("--write", type=Path, help=f"replace what is between {BEGIN} and {END} in this file")
    options = parser.parse_args()
    if not options.model.is_file():
        parser.error(f"there is no model {options.model}: name one with --model")
    return options


def ways() -> dict[str, Way]:
    return {
        BARE: partial(run_bare, call=plain_call),
        "lanes, pump": partial(run_lanes, drive=drive_pump),
        "lanes, await": partial(run_lanes, drive=drive_await),
        BOUND: partial(run_bare, call=bound_call),
    }


async def measure(engine: OnnxRuntimeEngine, concurrency: int, options: argparse.Namespace) -> dict[str, list[float]]:
    """Return inferences per second of each way, one figure a round; the first round warms up and is left out."""
    random = np.random.default_rng(0)
    inputs = {
        spec.name: random.standard_normal((options.batch, *spec.item_shape)).astype(spec.dtype)
        for spec in engine.facts.inputs
    }
    window_ns = round(options.window * NS_PER_S)
    per_s: dict[str, list[float]] = {name: [] for name in ways()}
    turns = list(ways().items())
    for _ in range(options.rounds + 1):
        for name, way in turns:
            per_s[name].append(await way(engine, inputs, concurrency, window_ns))
        turns.append(turns.pop(0))  # so that none always follows the same one
    return {name: figures[1:] for name, figures in per_s.items()}


async def run_bare(engine: OnnxRuntimeEngine, inputs: dict, concurrency: int, window_ns: int, *, call) -> float:
    """Loop on `concurrency` threads until the window ends; inferences per second over all."""
    calls = [call(engine, inputs) for _ in range(concurrency)]
    rates: list[float] = []
    until_ns = now_ns() + window_ns
    async with trio.open_nursery() as nursery:
        for one in calls:
            nursery.start_soon(trio.to_thread.run_sync, bare_loop, one, until_ns, rates)
    return sum(rates)


def bound_call(engine: OnnxRuntimeEngine, inputs: dict) -> Callable[[], object]:
    batch = len(next(iter(inputs.values())))
    return LaneBuffers(engine.model, batch=batch, inputs=inputs).run


def plain_call(engine: OnnxRuntimeEngine, inputs: dict) -> Callable[[], object]:
    own = {name: array.copy() for name, array in inputs.items()}
    return partial(engine.model.session.run, None, own)


def bare_loop(call: Callable[[], object], until_ns: int, rates: list[float]) -> None:
    count, started_at_ns, at_ns = 0, now_ns(), 0
    while at_ns < until_ns:
        call()
        at_ns = now_ns()
        count += 1
    rates.append(count * NS_PER_S / (at_ns - started_at_ns))


async def run_lanes(engine: OnnxRuntimeEngine, inputs: dict, concurrency: int, window_ns: int, *, drive) -> float:
    """Drive `concurrency` lanes until the window ends; inferences per second over all."""
    batch = len(next(iter(inputs.values())))
    rates: list[float] = []
    async with engine.open_lanes(batch=batch, count=concurrency, inputs=inputs) as lanes:
        until_ns = now_ns() + window_ns
        async with trio.open_nursery() as nursery:
            for lane in lanes:
                nursery.start_soon(drive, lane, until_ns, rates)
    return sum(rates)


async def drive_pump(lane: Lane, until_ns: int, rates: list[float]) -> None:
    count, started_at_ns, at_ns = 0, now_ns(), 0
    lane.give_credits(lane.max_credits)
    while at_ns < until_ns:
        taken = await lane.wait_completions()
        count, at_ns = count + len(taken), int(taken.completed_at_ns[-1])
        lane.give_credits(len(taken))
    rates.append(count * NS_PER_S / (at_ns - started_at_ns))
    # It must not run on while the others are still measured.
    lane.take_credits_back()


async def drive_await(lane: Lane, until_ns: int, rates: list[float]) -> None:
    count, started_at_ns, at_ns = 0, now_ns(), 0
    while at_ns < until_ns:
        at_ns = (await lane.infer()).completed_at_ns
        count += 1
    rates.append(count * NS_PER_S / (at_ns - started_at_ns))


def render(rows: Sequence[dict[str, list[float]]], engine: OnnxRuntimeEngine, options: argparse.Namespace) -> str:
    """Return the table: bare loop in inferences per second, the others as a ratio to it: median (lowest to highest)."""
    others = [name for name in ways() if name != BARE]
    lines = [
        (
            f"{options.model.stem}, batch {options.batch}, ONNX Runtime {engine.facts.backend_version} on "
            f"{engine.facts.device_name}, one thread an inference, {options.rounds} interleaved rounds of "
            f"{options.window:g} s. Ratios are to the bare loop of the same round: median (lowest to highest). "
            "Written by `python tests/benchmarks/lanes_against_bare_loop.py --write docs/performance.md`."
        ),
        "",
        f"| c | {BARE} | {' | '.join(others)} |",
        f"| --- | --- | {' | '.join('---' for _ in others)} |",
    ]
    for concurrency, per_s in zip(options.concurrency, rows, strict=True):
        cells = " | ".join(ratio_text(per_s[name], per_s[BARE]) for name in others)
        lines.append(f"| {concurrency} | {statistics.median(per_s[BARE]):.1f} inferences/s | {cells} |")
    return "\n".join(lines)


def ratio_text(figures: Sequence[float], bare: Sequence[float]) -> str:
    ratios = [figure / base for figure, base in zip(figures, bare, strict=True)]
    return f"{statistics.median(ratios):.3f} ({min(ratios):.3f} to {max(ratios):.3f})"


def replace_block(path: Path, table: str) -> None:
    """Put the table between the markers of a document that has them."""
    before, begin, rest = path.read_text(encoding="utf-8").partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        message = f"{path} has no {BEGIN} … {END}"
        raise SystemExit(message)
    path.write_text(f"{before}{BEGIN}\n{table}\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    trio.run(main)
