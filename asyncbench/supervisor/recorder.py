"""Records of a sweep that runs: written one by one, then published to its subscribers."""

from __future__ import annotations

from asyncbench.errors import AsyncbenchError, ExitCode
from asyncbench.event_log import get_logger
from asyncbench.results.record import CellRecord, HeaderRecord, Record
from asyncbench.results.status import Status
from asyncbench.results.writer import ResultsWriter
from asyncbench.supervisor.engine_group import EngineGroup
from asyncbench.supervisor.events import RecordWritten, Subscriber
from asyncbench.supervisor.failed_cell import lost_record
from asyncbench.supervisor.retries import Retries
from asyncbench.supervisor.sweep_run import SweepRun
from asyncbench.supervisor.trailer import exit_code_of, make_trailer
from asyncbench.sweep.cell import Cell
from asyncbench.sweep.config import OnPressure
from asyncbench.wire.messages import DeviceDescription, EngineOpened

_log = get_logger()


class SweepRecorder:
    """The one writer of a sweep: the header once, a record per cell, the trailer.

    Attributes:
        records: Of cells, by index; those that a resumed file had included.
        retries: Cells that are at their second try.
        has_header: Whether the header is written, and with it anything.
        ended_by_pressure: Whether a cell that did not fit ends the sweep, as `on_pressure: fail` asks.
    """

    def __init__(self, run: SweepRun, *, writer: ResultsWriter, publish: Subscriber) -> None:
        self.records: dict[int, CellRecord] = dict(run.done)
        self.retries = Retries()
        self.has_header = False
        self.ended_by_pressure = False
        self._run = run
        self._writer = writer
        self._publish = publish
        self._opened: dict[str, DeviceDescription] = {}

    async def write_header(self, opened: EngineOpened | None) -> None:
        """Write the header, unless it is there. An engine is named in it as soon as one is open.

        Args:
            opened: None where not even one engine fits into memory.
        """
        if self.has_header:
            return
        await self._write(self._run.header_of(opened))

    async def keep(self, record: CellRecord, group: EngineGroup) -> None:
        """Write the record of a cell, with what became of a first try."""
        record = self.retries.annotate(record)
        if record.status is Status.DOES_NOT_FIT and group.config.on_pressure is OnPressure.FAIL:
            self.ended_by_pressure = True
        self.records[record.index] = record
        _log.info("cell.ended", index=record.index, status=str(record.status))
        await self._write(record)

    async def keep_lost(
        self, group: EngineGroup, index: int, cell: Cell, error: AsyncbenchError, *, interrupted: bool
    ) -> None:
        """Write the record of a cell that the bench process could not report on itself."""
        opened = self._opened.get(group.device)
        record = lost_record(
            error,
            index=index,
            cell=cell,
            attempt=self.retries.attempt(index),
            sweep_id=self._run.sweep_id,
            device=opened.device if opened else cell.device,
            backend=opened.backend if opened else str(group.config.backend),
            load=group.config.load.kind,
            interrupted=interrupted,
        )
        await self.keep(record, group)

    def note_device(self, device: str, opened: DeviceDescription) -> None:
        """Remember what runs on a device, for the records of cells that are lost on it."""
        self._opened[device] = opened

    async def finish(self, duration_ns: int, *, stopped: bool) -> ExitCode:
        """Write the trailer and return the exit code.

        Args:
            stopped: Whether somebody asked the sweep to end. After the last cell that has interrupted nothing.
        """
        records = [self.records[index] for index in sorted(self.records)]
        is_complete = len(records) == self._run.header.cells and not any(
            record.status is Status.INTERRUPTED for record in records
        )
        exit_code = exit_code_of(records, interrupted=stopped and not is_complete)
        if exit_code is ExitCode.OK and self.ended_by_pressure:
            exit_code = ExitCode.CELLS_FAILED
        await self._writer.check()  # so that the trailer says the same as the exit code
        if self._writer.is_elsewhere:
            exit_code = ExitCode.BAD_INPUT
        trailer = make_trailer(
            records,
            sweep_id=self._run.sweep_id,
            exit_code=exit_code,
            duration_ns=duration_ns,
            latency_limit=self._run.latency_limit,
        )
        await self._write(trailer)
        return ExitCode.BAD_INPUT if self._writer.is_elsewhere else exit_code

    async def _write(self, record: Record) -> None:
        await self._writer.append(record)
        self.has_header = self.has_header or isinstance(record, HeaderRecord)
        self._publish(RecordWritten(record=record))
