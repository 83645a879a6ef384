"""What the cells of an open engine would take, for a dry run."""

from __future__ import annotations

from asyncbench.bench.memory.admission_controller import AdmissionController
from asyncbench.bench.opened_engine import OpenedEngine
from asyncbench.errors import DoesNotFitError
from asyncbench.wire.messages import CellForecast, Forecasts


async def forecast_cells(opened: OpenedEngine) -> Forecasts:
    """Return what every cell of the grid would take, and how many of its lanes would fit."""
    config, controller = opened.request.config, opened.controller
    available, memory = await controller.available(), await opened.engine.read_memory()
    return Forecasts(
        cells=[
            await _forecast_cell(controller, batch=batch, concurrency=concurrency)
            for batch in config.batch
            for concurrency in config.concurrency
        ],
        engine_device_bytes=memory.engine_bytes,
        available_device_bytes=available.device_bytes,
        available_host_bytes=available.host_bytes,
    )


async def _forecast_cell(controller: AdmissionController, *, batch: int, concurrency: int) -> CellForecast:
    need = controller.forecast(batch=batch, lanes=concurrency)
    try:
        lanes = (await controller.admit(batch=batch, concurrency=concurrency)).lanes
    except DoesNotFitError:
        lanes = 0
    return CellForecast(
        batch=batch,
        concurrency=concurrency,
        lanes=lanes,
        device_bytes=need.device_bytes,
        host_bytes=need.host_bytes,
    )
