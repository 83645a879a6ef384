"""What the record of a cell says that no bench process could report on: it died, or had no engine."""

from __future__ import annotations

from asyncbench.errors import AsyncbenchError, BenchProcessDiedError, DoesNotFitError, InternalError, LimitError
from asyncbench.memory.host.oom import DeathKind
from asyncbench.results.cell_parts import Reason
from asyncbench.results.record import CellRecord
from asyncbench.results.status import Status
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
        interrupted: Whether the sweep was told to end.
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
    """Where memory was the reason, that is a result."""
    return Status.DOES_NOT_FIT if is_out_of_memory(error) else Status.ERROR


def _code_of(error: AsyncbenchError) -> str:
    if _is_oom_kill(error):
        return "oom_killed"
    if isinstance(error, DoesNotFitError):
        return "limit" if isinstance(error, LimitError) else "memory"
    if isinstance(error, InternalError):
        return "internal_error"
    return "bench_process_died" if isinstance(error, BenchProcessDiedError) else "engine_refused"


def _is_oom_kill(error: AsyncbenchError) -> bool:
    return error.facts.get("death") == DeathKind.OOM_KILLED
