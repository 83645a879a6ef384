"""One item through another runtime: what the engine under test is held to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from asyncbench.backends.base import Backend, EngineFacts, EngineRequest
from asyncbench.bench.cell.output_check import PRECISION_TOLERANCE_RATIO, ForeignReference
from asyncbench.sweep.cell import Precision
from asyncbench.tensors import AnyArray


def reference_request(request: EngineRequest, *, batch: int, lanes: int) -> EngineRequest:
    """Return what to ask of the runtime that an engine is held to: the network as its file has it."""
    return replace(
        request, precision=Precision.FP32, device="auto", batches=(batch,), max_concurrency=lanes, calibration_path=None
    )


def reference_name(facts: EngineFacts, request: EngineRequest) -> str:
    """Return what people call it: by the precision of the file, which it runs as it is."""
    return f"{facts.backend} {facts.backend_version} in {request.graph_precision or Precision.FP32}"


async def ask_foreign(backend: Backend, request: EngineRequest, inputs: Mapping[str, AnyArray]) -> ForeignReference:
    """Return what `backend` makes of the first item of `inputs`, in fp32, with its engine opened and closed again.

    Args:
        request: What was asked of the engine under test.
        inputs: Each `(batch, …)`, of the smallest batch that is asked for.

    Raises:
        AsyncbenchError: The backend cannot run the model.
    """
    batch = min(request.batches)
    own = reference_request(request, batch=batch, lanes=1)
    async with backend.open_engine(own) as engine, engine.open_lanes(batch=batch, count=1, inputs=inputs) as lanes:
        await lanes[0].infer()
        outputs = lanes[0].read_outputs()
    return ForeignReference(
        runtime=reference_name(engine.facts, request),
        outputs=outputs,
        tolerance_ratio=_tolerance_ratio(request),
    )


def _tolerance_ratio(request: EngineRequest) -> float:
    """Return what is allowed: the precision that was asked for, or a coarser one that is in the graph."""
    in_graph = (request.graph_precision or "").split(" ")[0]
    allowed = PRECISION_TOLERANCE_RATIO[request.precision]
    return max([allowed, *(ratio for name, ratio in PRECISION_TOLERANCE_RATIO.items() if name == in_graph)])
