"""Record of a cell that no bench process could report on: it died, or had no engine."""

from __future__ import annotations

from asyncbench.errors import AsyncbenchError, BenchProcessDiedError, DoesNotFitError
from asyncbench.memory.host.oom import DeathKind
from asyncbench.results.cell_parts import Reason
from asyncbench.results.record import CellRecord
from asyncbench.results.status import ReasonCode, Status, reason_code_of
from asyncbench.sweep.cell import Cell


def lost_record(
    error: AsyncbenchError,
    *,
    index: int,
    cell: Cell,
    attempt: int,
    sweep_id: str,
    device: str,
    backend: str,
    load: str,
    interrupted: bool,
) -> CellRecord:
    """Return the record of a cell that ended with `error`, whose facts it keeps.

    Args:
        device: What the engine runs on, if one was open, otherwise what was asked for.
        backend: As `device`.
        load: The name of the load that was asked for.
        interrupted: Whether somebody asked the sweep to end.
    """
    return CellRecord(
        sweep_id=sweep_id,
        index=index,
        status=Status.INTERRUPTED if interrupted else _status_of(error),
        reasons=[Reason(code=_code_of(error), text=error.message)],
        attempt=attempt,
        model=cell.model,
        device=device,
        backend=backend,
        precision=cell.precision,
        batch=cell.batch,
        concurrency=cell.concurrency,
        load=load,
        facts=dict(error.facts),
    )


def is_out_of_memory(error: AsyncbenchError) -> bool:
    """Return whether there was no memory: it was refused, or the kernel killed the process for it."""
    return isinstance(error, DoesNotFitError) or _is_oom_kill(error)


def _status_of(error: AsyncbenchError) -> Status:
    """Return the status; where memory was the reason, that is a result."""
    return Status.DOES_NOT_FIT if is_out_of_memory(error) else Status.ERROR


def _code_of(error: AsyncbenchError) -> ReasonCode:
    if _is_oom_kill(error):
        return ReasonCode.OOM_KILLED
    died = isinstance(error, BenchProcessDiedError)
    return reason_code_of(error, otherwise=ReasonCode.BENCH_PROCESS_DIED if died else ReasonCode.ENGINE_REFUSED)


def _is_oom_kill(error: AsyncbenchError) -> bool:
    return error.facts.get("death") == DeathKind.OOM_KILLED
