"""An engine that is open in a bench process, and what the header says of it."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import JsonValue

from asyncbench.backends.base import Engine, EngineFacts
from asyncbench.bench.accuracy.accuracy_cell import Quality
from asyncbench.bench.cell.cell_policy import CellPolicy
from asyncbench.bench.cell.cell_record import RecordBase
from asyncbench.bench.cell.output_check import OutputCheck
from asyncbench.bench.input_supply import InputSupply
from asyncbench.bench.memory.admission_controller import AdmissionController
from asyncbench.bench.model_under_test import ModelUnderTest
from asyncbench.clock import utc_now_text
from asyncbench.errors import Fact
from asyncbench.sweep.cell import Cell
from asyncbench.tensors import TensorSpec
from asyncbench.wire.messages import OpenEngine, RunCell


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenedEngine:
    """An engine that is ready, and all that its cells share."""

    request: OpenEngine
    engine: Engine
    policy: CellPolicy
    desk: AdmissionController
    inputs: InputSupply
    outputs: OutputCheck
    quality: Quality | None
    subject: ModelUnderTest

    def frame(self, request: RunCell) -> RecordBase:
        """Return what every record of a cell on this engine carries."""
        cell = Cell(
            model=self.request.config.model_label,
            precision=self.request.precision,
            batch=request.batch,
            concurrency=request.concurrency,
            device=self.request.device,
        )
        return RecordBase(
            sweep_id=self.request.sweep_id,
            index=request.index,
            attempt=request.attempt,
            cell=cell,
            engine=self.engine.facts,
            policy=self.policy,
            forecast=self.desk.forecast(batch=cell.batch, lanes=cell.concurrency),
            started_at=utc_now_text(),
            model_hash=self.subject.model_hash,
            graph_precision=self.subject.graph.precision,
        )


def device_facts(facts: EngineFacts) -> dict[str, Fact]:
    """Return what the header says of the device."""
    return {
        "device": facts.device,
        "device_name": facts.device_name,
        "backend": facts.backend,
        "backend_version": facts.backend_version,
    }


def engine_facts(
    facts: EngineFacts, subject: ModelUnderTest, request: OpenEngine, *, subset_hash: str | None
) -> dict[str, JsonValue]:
    """Return what the header says of the engine."""
    return {
        "model": request.config.model_label,
        "known_as": subject.info.name if subject.info else None,
        "recognized": subject.recognized if subject.info else None,
        "precision": str(request.precision),
        "graph_precision": subject.graph.precision,
        "engine_hash": facts.engine_hash,
        "model_hash": subject.model_hash,
        "load_ns": facts.load_ns,
        "inputs": [_tensor(spec) for spec in facts.inputs],
        "outputs": [_tensor(spec) for spec in facts.outputs],
        "images": [path.name for path in subject.pictures.used],
        "images_found": subject.pictures.found,
        "subset_hash": subset_hash,
        "extra": dict(facts.extra),
    }


def _tensor(spec: TensorSpec) -> dict[str, JsonValue]:
    return {"name": spec.name, "item_shape": list(spec.item_shape), "dtype": spec.dtype}
