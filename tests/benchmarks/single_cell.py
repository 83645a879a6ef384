"""One cell as a sweep runs it, for benchmarks: lanes, workers by either driver, warm-up, window, and memory for all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import trio

from asyncbench.backends.base import Engine, EngineRequest
from asyncbench.bench.cell.cell_policy import CellPolicy
from asyncbench.bench.cell.cell_runner import CellRunner, Progress
from asyncbench.bench.cell.output_check import OutputCheck
from asyncbench.bench.input_supply import InputSupply
from asyncbench.bench.memory.admission_controller import AdmissionController, MemoryPolicy
from asyncbench.clock import NS_PER_S
from asyncbench.measurement.stopping import StopRule
from asyncbench.measurement.window import WindowResult
from asyncbench.memory.host.probe import HostReading
from asyncbench.sweep.cell import Cell, Driver, InputKind, Precision
from asyncbench.tensors import AnyArray, TensorSpec

PLENTY = HostReading(available_bytes=1 << 40, limit_bytes=None, limited_by="system", pressure_avg10=None, oom_kills=0)
STALL_LIMIT_NS = 1_000 * NS_PER_S


def request_of(concurrency: int, *, model_path: Path = Path("simulated"), device: str = "auto") -> EngineRequest:
    """Return what to ask of a backend for a cell of batch 1."""
    return EngineRequest(
        model_name=model_path.stem,
        model_path=model_path,
        precision=Precision.FP32,
        device=device,
        batches=(1,),
        max_concurrency=concurrency,
    )


async def measure_cell(
    engine: Engine,
    driver: Driver,
    rule: StopRule,
    *,
    concurrency: int,
    warmup_ns: int | None = None,
    progress: Progress = lambda _phase, _count, _elapsed_ns: None,
) -> WindowResult:
    """Return the window of a cell of batch 1 on zeros, with a lane for each inference in flight."""
    inputs = InputSupply(engine.facts.inputs, _zeros)
    await inputs.of(1)  # made before: a mock clock would go on while a thread makes them
    runner = CellRunner(
        engine,
        Cell(model="benchmark", precision=Precision.FP32, batch=1, concurrency=concurrency),
        CellPolicy(
            driver=driver,
            input_kind=InputKind.ZEROS,
            rule=rule,
            warmup_ns=warmup_ns,
            stall_limit_ns=STALL_LIMIT_NS,
        ),
        lanes=concurrency,
        controller=AdmissionController(engine, MemoryPolicy(), batches=(1,), read_host=lambda: PLENTY),
        inputs=inputs,
        outputs=OutputCheck(lambda _: None),
        stop_requested=trio.Event(),
        progress=progress,
    )
    window = (await runner.run()).window
    if window is None:
        raise SystemExit("nothing completed")
    return window


def _zeros(specs: Sequence[TensorSpec], batch: int) -> Mapping[str, AnyArray]:
    return {spec.name: np.zeros((batch, *spec.item_shape), spec.dtype) for spec in specs}
