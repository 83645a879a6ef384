"""One item through another runtime: what the engine under test is held to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from asyncbench.backends.base import AnyArray, Backend, EngineRequest
from asyncbench.runner.output_check import PRECISION_TOLERANCE_RATIO, ForeignReference
from asyncbench.sweep.cell import Precision


def reference_request(request: EngineRequest, *, batch: int, lanes: int) -> EngineRequest:
    """Return what to ask of the runtime that an engine is held to: the float network, in fp32."""
    return replace(
        request, precision=Precision.FP32, device="auto", batches=(batch,), max_concurrency=lanes, calibration_path=None
    )


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
    name = f"{engine.facts.backend} {engine.facts.backend_version} in fp32"
    return ForeignReference(runtime=name, outputs=outputs, tolerance_ratio=PRECISION_TOLERANCE_RATIO[request.precision])
