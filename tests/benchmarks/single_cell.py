"""One cell as a sweep runs it, for benchmarks: lanes, workers by either driver, warm-up, window, and memory for all."""

from __future__ import annotations

from asyncbench.backends.base import Engine
from asyncbench.bench.cell.cell_policy import CellPolicy
from asyncbench.bench.cell.cell_runner import Progress
from asyncbench.clock import NS_PER_S
from asyncbench.measurement.stopping import StopRule
from asyncbench.measurement.window import WindowResult
from asyncbench.sweep.cell import Driver, InputKind
from asyncbench.testing import CellBench

STALL_LIMIT_NS = 1_000 * NS_PER_S


async def measure_cell(
    engine: Engine,
    driver: Driver,
    rule: StopRule,
    *,
    concurrency: int,
    warmup_ns: int | None = None,
    progress: Progress = lambda _phase, _count, _elapsed_ns: None,
) -> WindowResult:
    """Return the window of a cell of batch 1, with a lane for each inference in flight."""
    policy = CellPolicy(
        driver=driver,
        input_kind=InputKind.ZEROS,
        rule=rule,
        warmup_ns=warmup_ns,
        stall_limit_ns=STALL_LIMIT_NS,
    )
    ran = await CellBench(engine, policy, progress=progress).measure(concurrency)
    if ran.seen.window is None:
        raise SystemExit("nothing completed")
    return ran.seen.window
