"""An engine that is open in a bench process, and what the header says of it."""

from __future__ import annotations

from dataclasses import dataclass

from asyncbench.backends.base import Engine, EngineFacts
from asyncbench.bench.accuracy.accuracy_cell import Quality
from asyncbench.bench.cell.cell_policy import CellPolicy
from asyncbench.bench.cell.cell_record import RecordBase
from asyncbench.bench.cell.output_check import OutputCheck
from asyncbench.bench.input_supply import InputSupply
from asyncbench.bench.memory.admission_controller import AdmissionController
from asyncbench.bench.model_under_test import ModelUnderTest
from asyncbench.clock import utc_now_text
from asyncbench.errors import DoesNotFitError
from asyncbench.sweep.cell import Cell
from asyncbench.tensors import TensorSpec
from asyncbench.wire.messages import (
    CellForecast,
    DeviceDescription,
    EngineDescription,
    Forecasts,
    OpenEngine,
    RunCell,
    TensorDescription,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenedEngine:
    """An engine that is ready, and all that its cells share."""

    request: OpenEngine
    engine: Engine
    policy: CellPolicy
    controller: AdmissionController
    inputs: InputSupply
    outputs: OutputCheck
    quality: Quality | None
    model: ModelUnderTest

    def record_base(self, request: RunCell) -> RecordBase:
        """Return the fields that every record of a cell on this engine carries."""
        cell = request.cell
        return RecordBase(
            sweep_id=self.request.sweep_id,
            index=request.index,
            attempt=request.attempt,
            cell=cell,
            engine=self.engine.facts,
            policy=self.policy,
            forecast=self.controller.forecast(batch=cell.batch, lanes=cell.concurrency),
            started_at=utc_now_text(),
            model_hash=self.model.model_hash,
            graph_precision=self.model.graph.precision,
        )

    async def forecast_cells(self) -> Forecasts:
        """Return the memory that every cell of the grid would take, and how many of its lanes would fit."""
        available, memory = await self.controller.available(), await self.engine.read_memory()
        return Forecasts(
            cells=[
                await self._forecast_cell(cell)
                for cell in self.request.config.cells(self.request.device)
                if cell.precision is self.request.precision
            ],
            engine_device_bytes=memory.engine_bytes,
            available_device_bytes=available.device_bytes,
            available_host_bytes=available.host_bytes,
        )

    async def _forecast_cell(self, cell: Cell) -> CellForecast:
        need = self.controller.forecast(batch=cell.batch, lanes=cell.concurrency)
        try:
            lanes = (await self.controller.admit(batch=cell.batch, concurrency=cell.concurrency)).lanes
        except DoesNotFitError:
            lanes = 0
        return CellForecast(cell=cell, lanes=lanes, device_bytes=need.device_bytes, host_bytes=need.host_bytes)


def describe_device(facts: EngineFacts) -> DeviceDescription:
    """Return what the header says of the device."""
    return DeviceDescription(
        device=facts.device,
        device_name=facts.device_name,
        backend=facts.backend,
        backend_version=facts.backend_version,
    )


def describe_engine(
    facts: EngineFacts, model: ModelUnderTest, request: OpenEngine, *, subset_hash: str | None
) -> EngineDescription:
    """Return what the header says of the engine."""
    return EngineDescription(
        model=request.config.model_label,
        known_as=model.info.name if model.info else None,
        recognized=model.recognized if model.info else None,
        precision=request.precision,
        graph_precision=model.graph.precision,
        engine_hash=facts.engine_hash,
        model_hash=model.model_hash,
        load_ns=facts.load_ns,
        inputs=tuple(_describe_tensor(spec) for spec in facts.inputs),
        outputs=tuple(_describe_tensor(spec) for spec in facts.outputs),
        images=tuple(path.name for path in model.images.used),
        images_found=model.images.found,
        subset_hash=subset_hash,
        extra=dict(facts.extra),
    )


def _describe_tensor(spec: TensorSpec) -> TensorDescription:
    return TensorDescription(name=spec.name, item_shape=spec.item_shape, dtype=spec.dtype)
