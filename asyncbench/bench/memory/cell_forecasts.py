"""Forecast of the memory that the cells of an open engine would take, for a dry run."""

from __future__ import annotations

from asyncbench.bench.memory.admission_controller import AdmissionController
from asyncbench.bench.opened_engine import OpenedEngine
from asyncbench.errors import DoesNotFitError
from asyncbench.sweep.cell import Cell
from asyncbench.wire.messages import CellForecast, Forecasts


async def forecast_cells(opened: OpenedEngine) -> Forecasts:
    """Return what every cell of the grid would take, and how many of its lanes would fit."""
    request, controller = opened.request, opened.controller
    available, memory = await controller.available(), await opened.engine.read_memory()
    return Forecasts(
        cells=[
            await _forecast_cell(controller, cell)
            for cell in request.config.cells(request.device)
            if cell.precision is request.precision
        ],
        engine_device_bytes=memory.engine_bytes,
        available_device_bytes=available.device_bytes,
        available_host_bytes=available.host_bytes,
    )


async def _forecast_cell(controller: AdmissionController, cell: Cell) -> CellForecast:
    need = controller.forecast(batch=cell.batch, lanes=cell.concurrency)
    try:
        lanes = (await controller.admit(batch=cell.batch, concurrency=cell.concurrency)).lanes
    except DoesNotFitError:
        lanes = 0
    return CellForecast(cell=cell, lanes=lanes, device_bytes=need.device_bytes, host_bytes=need.host_bytes)
