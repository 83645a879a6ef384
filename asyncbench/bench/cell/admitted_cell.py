"""One cell with memory in mind: admitted, run, and run again on fewer lanes where memory was refused in spite of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeAlias, TypeVar

from asyncbench.bench.cell.cell_runner import CellMeasurement, CellRunner
from asyncbench.bench.memory.admission_controller import AdmissionController
from asyncbench.error_translation import own_error_of
from asyncbench.errors import DoesNotFitError, LimitError
from asyncbench.event_log import get_logger
from asyncbench.memory.admission import Admission, lanes_text
from asyncbench.memory.forecast import MemoryForecast
from asyncbench.sweep.cell import Cell

# Of the lanes that were refused: the correction of the forecast says how many will do, this only makes it end soon.
_FEWER_RATIO = 0.75

_log = get_logger()
_Seen = TypeVar("_Seen")


@dataclass(frozen=True, slots=True, kw_only=True)
class Admitted(Generic[_Seen]):
    """Result of a run on the lanes that fit.

    Attributes:
        seen: What the run returned.
        refused: Errors of the earlier tries, in one line each.
    """

    admission: Admission
    seen: _Seen
    refused: tuple[str, ...]


AdmittedCell: TypeAlias = Admitted[CellMeasurement]


async def measure_admitted(
    controller: AdmissionController, cell: Cell, make_runner: Callable[[int], CellRunner], *, max_lanes: int
) -> AdmittedCell:
    """Measure a cell on as many lanes as fit, `max_lanes` at most; what it took is learned from.

    Args:
        make_runner: Returns a new runner for so many lanes.

    Raises:
        DoesNotFitError: It cannot run on any number of lanes.
        LaneError: See `CellRunner.run`.
    """
    ran = await run_admitted(controller, cell, lambda lanes: make_runner(lanes).run(), max_lanes=max_lanes)
    controller.learn(batch=cell.batch, lanes=ran.admission.lanes, used=_used(ran.seen))
    return ran


async def run_admitted(
    controller: AdmissionController, cell: Cell, run: Callable[[int], Awaitable[_Seen]], *, max_lanes: int
) -> Admitted[_Seen]:
    """Run something on as many lanes of a cell as fit, `max_lanes` at most.

    Args:
        run: Runs it on so many lanes.

    Raises:
        DoesNotFitError: It cannot run on any number of lanes.
    """
    refused: list[str] = []
    lanes = max_lanes
    while True:
        admission = await _admit(controller, cell, lanes, refused)
        error = None
        try:
            seen = await run(admission.lanes)
        except Exception as raised:  # noqa: BLE001 # raised again unless memory was refused
            error = _refusal(raised)
        if error is None:
            return Admitted(admission=admission, seen=seen, refused=tuple(refused))
        await controller.learn_refusal(error, batch=cell.batch, lanes=admission.lanes)
        lanes = _fewer(admission.lanes)
        if not lanes or not controller.shares_lanes:
            _add_refusals(error, refused)
            raise error
        _log.info("cell.refused", cell=str(cell), lanes=admission.lanes, message=error.message)
        refused.append(f"{lanes_text(admission.lanes)}: {error.message}")


def _refusal(raised: Exception) -> DoesNotFitError:
    """Return the refusal of memory that was raised, or raise what it was instead.

    A limit of another kind is no reason to try fewer lanes: what it did to the forecasts would stay.
    """
    error = own_error_of(raised)
    if isinstance(error, DoesNotFitError) and not isinstance(error, LimitError):
        return error
    if error is raised:
        raise error
    raise error from raised


async def _admit(controller: AdmissionController, cell: Cell, lanes: int, refused: Sequence[str]) -> Admission:
    try:
        return await controller.admit(batch=cell.batch, concurrency=lanes)
    except DoesNotFitError as error:
        _add_refusals(error, refused)
        raise


def _add_refusals(error: DoesNotFitError, refused: Sequence[str]) -> None:
    """Say in an error what the tries before it ended with."""
    if refused:
        error.facts["refused_before"] = "; ".join(refused)


def _fewer(lanes: int) -> int:
    return min(lanes - 1, max(1, int(lanes * _FEWER_RATIO)))


def _used(seen: CellMeasurement) -> MemoryForecast:
    return MemoryForecast(device_bytes=seen.used_device_bytes or 0, host_bytes=seen.used_host_bytes or 0)
