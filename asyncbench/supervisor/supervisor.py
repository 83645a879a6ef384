"""Leads a sweep: one bench process per device, one record per cell, whatever becomes of the process.

The supervisor imports no inference library and holds no tensors, so that the kernel has no reason to choose it when
memory is short. It is the only writer of the results.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

import trio

from asyncbench.clock import NS_PER_S, now_ns
from asyncbench.error_group import own_error_alone
from asyncbench.errors import AsyncbenchError, BenchProcessDiedError, DoesNotFitError, ExitCode
from asyncbench.event_log import get_logger
from asyncbench.memory.admission import lanes_text
from asyncbench.results.record import CellRecord
from asyncbench.results.status import Status
from asyncbench.results.writer import ResultsWriter
from asyncbench.supervisor.bench_client import BenchClient, open_bench
from asyncbench.supervisor.engine_group import EngineGroup
from asyncbench.supervisor.failed_cell import is_out_of_memory, lost_record
from asyncbench.supervisor.failed_opens import AfterFailedOpen, FailedOpens
from asyncbench.supervisor.observer import SweepObserver
from asyncbench.supervisor.resume_check import check_same_engine
from asyncbench.supervisor.retries import FirstTry, Retries
from asyncbench.supervisor.sweep_run import SweepRun
from asyncbench.supervisor.trailer import exit_code_of, make_trailer
from asyncbench.supervisor.watchdog import ask_with_watchdog
from asyncbench.sweep.cell import Cell
from asyncbench.sweep.config import OnPressure
from asyncbench.wire.messages import (
    Answer,
    CellEnded,
    DeviceDescription,
    EngineNotice,
    EngineOpened,
    OpenEngine,
    Progress,
    Refused,
    RunCell,
    StopCell,
    error_of,
)

# A bench process watches its own lanes; it is replaced when even its watch is silent, this much later.
WATCH_MARGIN_NS = 60 * NS_PER_S

_log = get_logger()


class Supervisor:
    """Runs one sweep, once.

    Args:
        stop_requested: Set for "end now": the running cell drains and is recorded as interrupted.
        abort_requested: Set for "do not even drain": the bench process is killed.
    """

    def __init__(
        self,
        run: SweepRun,
        *,
        sink: ResultsWriter,
        listener: SweepObserver,
        stop_requested: trio.Event,
        abort_requested: trio.Event,
    ) -> None:
        self._run = run
        self._sink = sink
        self._listener = listener
        self._stop_requested = stop_requested
        self._abort_requested = abort_requested
        self._records: dict[int, CellRecord] = dict(run.done)
        self._opened: dict[str, DeviceDescription] = {}
        self._header_written = False
        self._opening_engine = False
        self._opens = FailedOpens()
        self._were_open: set[int] = set()  # groups by their numbers
        self._too_large: set[int] = set()
        self._retries = Retries()
        self._lanes_seen: int | None = None
        self._told: set[str] = set()
        self._ended_by_pressure = False

    async def run(self) -> ExitCode:
        """Measure every cell that has no final record, and return what to tell the shell.

        Raises:
            AsyncbenchError: The first engine was refused: nothing was written.
            OutputError: The results cannot be written any more.
        """
        started_at_ns = now_ns()
        devices = [
            (device, self._left_of(list(groups)))
            for device, groups in groupby(self._run.groups, key=lambda group: group.device)
        ]
        with own_error_alone():
            for _, groups in devices[1:]:
                await self._open_elsewhere(groups)
            for device, groups in devices:
                await self._run_device(device, groups)
        if not self._header_written and (self._stop_requested.is_set() or not self._records):
            return ExitCode.INTERRUPTED if self._stop_requested.is_set() else ExitCode.OK
        return await self._finish(now_ns() - started_at_ns)

    async def _finish(self, duration_ns: int) -> ExitCode:
        records = [self._records[index] for index in sorted(self._records)]
        is_complete = len(records) == self._run.header.cells and not any(
            record.status is Status.INTERRUPTED for record in records
        )
        # A stop that came after the last cell has interrupted nothing.
        exit_code = exit_code_of(records, interrupted=self._stop_requested.is_set() and not is_complete)
        if exit_code is ExitCode.OK and self._ended_by_pressure:
            exit_code = ExitCode.CELLS_FAILED
        await self._sink.check()  # so that the trailer says the same as the shell is told
        if self._sink.is_elsewhere:
            exit_code = ExitCode.BAD_INPUT
        trailer = make_trailer(
            records,
            sweep_id=self._run.sweep_id,
            exit_code=exit_code,
            duration_ns=duration_ns,
            latency_limit=self._run.latency_limit,
        )
        await self._sink.append(trailer)
        self._listener.sweep_ended(trailer)
        return ExitCode.BAD_INPUT if self._sink.is_elsewhere else exit_code

    async def _run_device(self, device: str, groups: list[EngineGroup]) -> None:
        """Start bench processes on one device until none of its cells is left without a record."""
        while groups and not self._is_ending():
            _log.info("device.started", device=device, cells=sum(len(group.cells) for group in groups))
            async with open_bench(self._run.bench_command, self._run.read_oom) as bench, trio.open_nursery() as nursery:
                nursery.start_soon(self._forward_stop, bench)
                await self._run_groups(bench, groups)
                nursery.cancel_scope.cancel()
            groups = self._left_of(groups)

    async def _open_elsewhere(self, groups: list[EngineGroup]) -> None:
        """Before anything is written open the engines of a device whose turn comes later: see _open_all_once."""
        if not groups or self._is_ending():
            return
        async with open_bench(self._run.bench_command, self._run.read_oom) as bench, trio.open_nursery() as nursery:
            nursery.start_soon(self._forward_stop, bench)
            await self._open_all_once(bench, groups)
            nursery.cancel_scope.cancel()

    def _left_of(self, groups: Sequence[EngineGroup]) -> list[EngineGroup]:
        """Return the groups with the cells that have no record; those whose engine was too large come last.

        The header is written when the first engine is open, and can tell of that one only.
        """
        left = [group for group in (group.without(set(self._records)) for group in groups) if group.cells]
        return sorted(left, key=lambda group: group.number in self._too_large)

    def _is_ending(self) -> bool:
        """Whether no further cell is to be run."""
        return self._stop_requested.is_set() or self._ended_by_pressure

    async def _forward_stop(self, bench: BenchClient) -> None:
        await self._stop_requested.wait()
        if not self._opening_engine:
            await bench.send(StopCell())
            await self._abort_requested.wait()
        # An engine that is being opened has nothing to drain, and may take minutes to build.
        bench.kill()

    async def _run_groups(self, bench: BenchClient, groups: list[EngineGroup]) -> None:
        """Run groups on one process until they are done, it dies, or the user stops."""
        if not self._header_written and not await self._open_all_once(bench, groups[1:]):
            return
        for group in groups:
            if self._is_ending():
                return
            try:
                is_open = await self._open(bench, group)
            except BenchProcessDiedError as error:
                await self._take_failed_open(group, error)
                return
            for index, cell in group.cells if is_open else ():
                if self._is_ending():
                    return
                if not await self._run_cell(bench, group, index, cell):
                    return

    async def _open_all_once(self, bench: BenchClient, groups: Sequence[EngineGroup]) -> bool:
        """Before anything is written open every engine once: all builds come first, and what is refused is known.

        Returns:
            False when the process is of no more use.

        Raises:
            AsyncbenchError: An engine was refused for another reason than memory.
        """
        for group in groups:
            if group.number in self._too_large:
                continue
            try:
                answer = await self._ask_to_open(bench, group)
            except BenchProcessDiedError as error:
                if self._stop_requested.is_set():
                    return False
                if not is_out_of_memory(error):
                    raise
                self._too_large.add(group.number)
                return False
            if isinstance(answer, EngineOpened):
                self._note_open(group, answer)
            elif isinstance(answer, Refused):
                refusal = error_of(answer)
                if not isinstance(refusal, DoesNotFitError):
                    raise refusal
                self._too_large.add(group.number)
        return True

    async def _ask_to_open(self, bench: BenchClient, group: EngineGroup) -> Answer:
        self._listener.engine_opening(group.cells[0][1])
        request = OpenEngine(
            sweep_id=self._run.sweep_id,
            config=group.config,
            precision=group.precision,
            device=group.device,
            flags=group.flags,
        )
        self._opening_engine = True
        try:
            return await bench.ask(request, on_progress=self._show)
        finally:
            self._opening_engine = False

    async def _open(self, bench: BenchClient, group: EngineGroup) -> bool:
        """Open the engine of a group; False when it was refused.

        Raises:
            BenchProcessDiedError: The process died of it.
        """
        answer = await self._ask_to_open(bench, group)
        self._opens.succeeded()
        if isinstance(answer, Refused):
            await self._refuse_group(group, error_of(answer))
        if not isinstance(answer, EngineOpened):
            return False
        self._note_open(group, answer)
        self._opened[group.device] = answer.device
        await self._write_header(answer)
        return True

    def _note_open(self, group: EngineGroup, opened: EngineOpened) -> None:
        self._were_open.add(group.number)
        cells = self._run.groups[group.number].cells
        check_same_engine((self._run.done[index] for index, _ in cells if index in self._run.done), opened.engine)

    async def _take_failed_open(self, group: EngineGroup, error: BenchProcessDiedError) -> None:
        """Let another process try, or record what that costs."""
        verdict = self._opens.failed(was_open_before=group.number in self._were_open)
        if self._stop_requested.is_set() or verdict is AfterFailedOpen.REFUSE:
            await self._refuse_group(group, error)
        elif verdict is AfterFailedOpen.CHARGE_A_CELL:
            index, cell = group.cells[0]
            await self._keep(self._lost(group, index, cell, error), group)
        else:
            self._listener.notice(f"{error.message}; opening the engine once more")

    async def _refuse_group(self, group: EngineGroup, error: AsyncbenchError) -> None:
        """Record every cell of a group that has no engine.

        Before the header was written the sweep ends instead, unless it was for memory: that is what the sweep was to
        find out, and others may fit. Its turn comes again when those are done.
        """
        if self._stop_requested.is_set():
            return
        if not self._header_written:
            if not is_out_of_memory(error):
                raise error
            if self._others_may_fit(group):
                self._too_large.add(group.number)
                return
            await self._write_header(None)
        for index, cell in group.cells:
            if not self._is_ending():
                await self._keep(self._lost(group, index, cell, error), group)

    def _others_may_fit(self, group: EngineGroup) -> bool:
        others = {one.number for one in self._run.groups if one.device == group.device} - self._too_large
        return group.config.on_pressure is not OnPressure.FAIL and bool(others - {group.number})

    async def _run_cell(self, bench: BenchClient, group: EngineGroup, index: int, cell: Cell) -> bool:
        """Measure one cell and write its record; False when the process is of no more use."""
        self._listener.cell_started(index, cell)
        _log.info("cell.started", index=index, cell=str(cell))
        started_at_ns = now_ns()
        self._lanes_seen = None
        try:
            answer = await self._ask_for_cell(bench, group, index, cell)
        except BenchProcessDiedError as error:
            error.facts["ran_ns"] = now_ns() - started_at_ns
            ended = FirstTry(
                why=error.message,
                facts=error.facts,
                lanes=self._lanes_seen,
                memory_suspected=error.memory_suspected,
            )
            if "death" not in error.facts or not self._try_again(group, index, cell, ended):
                await self._keep(self._lost(group, index, cell, error), group)
            return False
        if isinstance(answer, Refused):
            await self._keep(self._lost(group, index, cell, error_of(answer)), group)
            return False
        record = answer.record
        cuda_error = str(record.facts.get("cuda_error"))
        ended = FirstTry(
            why=cuda_error,
            facts=record.facts,
            lanes=self._lanes_seen,
            memory_suspected="OUT_OF_MEMORY" in cuda_error,
        )
        device_is_lost = answer.unfit and "cuda_error" in record.facts
        if not device_is_lost or not self._try_again(group, index, cell, ended):
            await self._keep(self._retries.annotate(record), group)
        return not answer.unfit

    def _try_again(self, group: EngineGroup, index: int, cell: Cell, ended: FirstTry) -> bool:
        """Say whether a cell that a process has died of is run once more."""
        if self._stop_requested.is_set():
            return False
        shares_lanes = group.config.on_pressure is OnPressure.BACKPRESSURE
        retry = self._retries.plan(index, ended, concurrency=cell.concurrency, shares_lanes=shares_lanes)
        if retry is None:
            return False
        _log.warning("cell.retried", index=index, max_lanes=retry.max_lanes, why=ended.why)
        self._listener.notice(f"{cell}: {ended.why}; once more, on {lanes_text(retry.max_lanes)}")
        return True

    async def _ask_for_cell(
        self, bench: BenchClient, group: EngineGroup, index: int, cell: Cell
    ) -> CellEnded | Refused:
        """Return the answer for one cell, a refusal where the process cannot go on; a silent one is killed."""
        request = RunCell(
            index=index,
            cell=cell,
            attempt=self._retries.attempt(index),
            max_lanes=self._retries.max_lanes(index),
        )
        answer = await ask_with_watchdog(
            bench, request, limit_ns=group.config.cell_timeout_ns + WATCH_MARGIN_NS, on_progress=self._show
        )
        if not isinstance(answer, CellEnded | Refused):
            raise AsyncbenchError(f"the bench process answered cell {index} with {type(answer).__name__}")
        return answer

    def _show(self, progress: Progress) -> None:
        if isinstance(progress, EngineNotice):
            self._show_notice(progress)
        else:
            self._lanes_seen = progress.lanes
            self._listener.cell_progress(progress)

    def _show_notice(self, notice: EngineNotice) -> None:
        if not notice.lasting:
            self._listener.engine_notice(notice.text)
        elif notice.text not in self._told:
            self._told.add(notice.text)  # an engine may be opened more than once
            self._listener.notice(notice.text)

    def _lost(self, group: EngineGroup, index: int, cell: Cell, error: AsyncbenchError) -> CellRecord:
        """Return the record of a cell that the bench process could not report on itself."""
        opened = self._opened.get(group.device)
        record = lost_record(
            error,
            index=index,
            cell=cell,
            attempt=self._retries.attempt(index),
            sweep_id=self._run.sweep_id,
            device=opened.device if opened else cell.device,
            backend=opened.backend if opened else str(group.config.backend),
            interrupted=self._stop_requested.is_set(),
        )
        return self._retries.annotate(record)

    async def _keep(self, record: CellRecord, group: EngineGroup) -> None:
        if record.status is Status.DOES_NOT_FIT and group.config.on_pressure is OnPressure.FAIL:
            self._ended_by_pressure = True
        self._records[record.index] = record
        _log.info("cell.ended", index=record.index, status=str(record.status))
        await self._sink.append(record)
        self._listener.cell_ended(record)

    async def _write_header(self, opened: EngineOpened | None) -> None:
        if self._header_written:
            return
        header = self._run.header_of(opened)
        await self._sink.append(header)
        self._header_written = True
        self._listener.sweep_started(header)
