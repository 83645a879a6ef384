"""Mistakes in records that mypy must see: it runs over this file, and says so where an ignored line is no mistake."""

from asyncbench.results.cell_parts import Reason, Warmup
from asyncbench.results.record import CellRecord
from asyncbench.results.status import Status
from asyncbench.sweep.cell import Cell, Precision
from asyncbench.wire.messages import RunCell


def build(cell: Cell, warmup: Warmup) -> None:
    Reason(code=1, text="a code is a word")  # type: ignore[arg-type]
    Reason(code="drift")  # type: ignore[call-arg]
    Reason(code="drift", text="", unknown=1)  # type: ignore[call-arg]
    Warmup(n="3", duration_ns=1, steady=True)  # type: ignore[arg-type] # pydantic would make a number of it
    CellRecord(
        sweep_id="s",
        index=0,
        status=Status.MEASURED,
        model=cell.model,
        device=cell.device,
        backend="simulated",
        precision=Precision.FP32,
        batch=cell.batch,
        concurrency="4",  # type: ignore[arg-type]
    )
    RunCell(index=0, cell={"batch": 1})  # type: ignore[arg-type]
    warmup.n = 4  # type: ignore[misc]
