"""The supervisor of a sweep: one bench process per device, one record per cell, whatever becomes of the process.

It imports no inference library and holds no tensors, so that the kernel has no reason to choose it when memory is
short. It is the only writer of the results.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

import trio

from asyncbench.clock import NS_PER_S, now_ns
from asyncbench.error_group import own_error_alone
from asyncbench.errors import AsyncbenchError, BenchProcessDiedError, ExitCode
from asyncbench.event_log import get_logger
from asyncbench.memory.admission import lanes_text
from asyncbench.results.writer import ResultsWriter
from asyncbench.supervisor.bench_client import BenchClient, ask_with_watchdog, open_bench
from asyncbench.supervisor.engine_group import EngineGroup
from asyncbench.supervisor.engine_opener import EngineOpener
from asyncbench.supervisor.events import CellStarted, EngineProgress, Notice, Subscriber
from asyncbench.supervisor.recorder import SweepRecorder
from asyncbench.supervisor.retries import FirstTry
from asyncbench.supervisor.stop_request import StopRequest
from asyncbench.supervisor.sweep_run import SweepRun
from asyncbench.sweep.cell import Cell
from asyncbench.sweep.config import OnPressure
from asyncbench.wire.messages import CellEnded, EngineNotice, Progress, Refused, RunCell, StopCell, error_of

# A bench process watches its own lanes; it is replaced when even its watch is silent, this much later.
WATCH_MARGIN_NS = 60 * NS_PER_S

_log = get_logger()


class Supervisor:
    """Supervisor of one sweep, which it runs once.

    Args:
        publish: Takes every event of the sweep.
        request: Set by whoever wants it to end early.
    """

    def __init__(self, run: SweepRun, *, writer: ResultsWriter, publish: Subscriber, request: StopRequest) -> None:
        self._run = run
        self._publish = publish
        self._request = request
        self._recorder = SweepRecorder(run, writer=writer, publish=publish)
        self._opener = EngineOpener(
            run, recorder=self._recorder, publish=publish, on_progress=self._show, request=request
        )
        self._lanes_seen: int | None = None
        self._notices: set[str] = set()

    async def run(self) -> ExitCode:
        """Measure every cell that has no final record, and return the exit code.

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
        stopped = self._request.stop.is_set()
        if not self._recorder.has_header and (stopped or not self._recorder.records):
            return ExitCode.INTERRUPTED if stopped else ExitCode.OK
        return await self._recorder.finish(now_ns() - started_at_ns, stopped=stopped)

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
        """Open the engines of a device whose turn comes later, before anything is written."""
        if not groups or self._is_ending():
            return
        async with open_bench(self._run.bench_command, self._run.read_oom) as bench, trio.open_nursery() as nursery:
            nursery.start_soon(self._forward_stop, bench)
            await self._opener.open_all_once(bench, groups)
            nursery.cancel_scope.cancel()

    def _left_of(self, groups: Sequence[EngineGroup]) -> list[EngineGroup]:
        """Return the groups with the cells that have no record; those whose engine was too large come last.

        The header is written when the first engine is open, and can tell of that one only.
        """
        done = set(self._recorder.records)
        left = [group for group in (group.without(done) for group in groups) if group.cells]
        return sorted(left, key=self._opener.is_too_large)

    def _is_ending(self) -> bool:
        """Return whether no further cell is to be run."""
        return self._request.stop.is_set() or self._recorder.ended_by_pressure

    async def _forward_stop(self, bench: BenchClient) -> None:
        await self._request.stop.wait()
        if not self._opener.is_opening:
            await bench.send(StopCell())
            await self._request.abort.wait()
        # An engine that is being opened has nothing to drain, and may take minutes to build.
        bench.kill()

    async def _run_groups(self, bench: BenchClient, groups: list[EngineGroup]) -> None:
        """Run groups on one process until they are done, it dies, or the user stops."""
        if not self._recorder.has_header and not await self._opener.open_all_once(bench, groups[1:]):
            return
        for group in groups:
            if self._is_ending():
                return
            try:
                is_open = await self._opener.open(bench, group)
            except BenchProcessDiedError as error:
                await self._opener.take_death(group, error)
                return
            for index, cell in group.cells if is_open else ():
                if self._is_ending():
                    return
                if not await self._run_cell(bench, group, index, cell):
                    return

    async def _run_cell(self, bench: BenchClient, group: EngineGroup, index: int, cell: Cell) -> bool:
        """Measure one cell and write its record; False when the process is of no more use."""
        self._publish(CellStarted(index=index, cell=cell))
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
                await self._keep_lost(group, index, cell, error)
            return False
        if isinstance(answer, Refused):
            await self._keep_lost(group, index, cell, error_of(answer))
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
            await self._recorder.keep(record, group)
        return not answer.unfit

    def _try_again(self, group: EngineGroup, index: int, cell: Cell, ended: FirstTry) -> bool:
        """Return whether a cell that a process has died of is run once more."""
        if self._request.stop.is_set():
            return False
        shares_lanes = group.config.on_pressure is OnPressure.BACKPRESSURE
        retry = self._recorder.retries.plan(index, ended, concurrency=cell.concurrency, shares_lanes=shares_lanes)
        if retry is None:
            return False
        _log.warning("cell.retried", index=index, max_lanes=retry.max_lanes, why=ended.why)
        self._publish(Notice(text=f"{cell}: {ended.why}; once more, on {lanes_text(retry.max_lanes)}"))
        return True

    async def _ask_for_cell(
        self, bench: BenchClient, group: EngineGroup, index: int, cell: Cell
    ) -> CellEnded | Refused:
        """Return the answer for one cell, a refusal where the process cannot go on; a silent one is killed."""
        request = RunCell(
            index=index,
            cell=cell,
            attempt=self._recorder.retries.attempt(index),
            max_lanes=self._recorder.retries.max_lanes(index),
        )
        limit_ns = group.config.cell_timeout_ns + WATCH_MARGIN_NS
        return await ask_with_watchdog(bench, request, CellEnded, limit_ns=limit_ns, on_progress=self._show)

    async def _keep_lost(self, group: EngineGroup, index: int, cell: Cell, error: AsyncbenchError) -> None:
        await self._recorder.keep_lost(group, index, cell, error, interrupted=self._request.stop.is_set())

    def _show(self, progress: Progress) -> None:
        if not isinstance(progress, EngineNotice):
            self._lanes_seen = progress.lanes
            self._publish(progress)
        elif not progress.lasting:
            self._publish(EngineProgress(text=progress.text))
        elif progress.text not in self._notices:
            self._notices.add(progress.text)  # an engine may be opened more than once
            self._publish(Notice(text=progress.text))
