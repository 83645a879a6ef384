"""A sweep that runs beside the task that asked for it: its records are iterated over, leaving it ends it."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager, ExitStack, closing
from pathlib import Path
from types import TracebackType
from typing import TypeAlias
from uuid import uuid4

import structlog
import trio

from asyncbench import __version__
from asyncbench.clock import utc_now_text
from asyncbench.conditions.host import host_facts
from asyncbench.conditions.versions import library_versions
from asyncbench.error_group import own_error_alone
from asyncbench.error_translation import innermost, own_or_system_error
from asyncbench.errors import BadInputError, ExitCode
from asyncbench.memory.host.probe import HostMemory
from asyncbench.places import BENCH_COMMAND
from asyncbench.results.reader import ResultsRead, final_cells
from asyncbench.results.record import CellRecord, HeaderRecord, Record, TrailerRecord
from asyncbench.results.status import Status
from asyncbench.results.sweep_results import SweepResults
from asyncbench.results.writer import ResultsWriter
from asyncbench.supervisor.bench_client import ReadOom
from asyncbench.supervisor.engine_group import EngineGroup, engine_groups
from asyncbench.supervisor.events import Notice, RecordWritten, Subscriber, SweepEvent
from asyncbench.supervisor.named_files import check_named_files
from asyncbench.supervisor.output import Output, config_facts, open_output
from asyncbench.supervisor.settled_defaults import settle_defaults
from asyncbench.supervisor.stop_request import StopRequest
from asyncbench.supervisor.supervisor import Supervisor
from asyncbench.supervisor.sweep_run import SweepRun
from asyncbench.supervisor.trailer import exit_code_of
from asyncbench.sweep.config import OnPressure, SweepConfig
from asyncbench.units import counted

if sys.version_info < (3, 11):
    from exceptiongroup import BaseExceptionGroup

# What the inferences in flight may take to drain once nobody waits for the sweep any more; then its process is killed.
DRAIN_LIMIT_S = 90.0

OutputName: TypeAlias = "str | os.PathLike[str] | None"


class RunningSweep:
    """The records of a sweep as they come: header, cells, trailer. The sweep does not wait for whoever reads them.

    Attributes:
        sweep_id: The same as in every record.
        exit_code: The exit code of a command line; None while it runs.
    """

    def __init__(self, *, groups: Sequence[EngineGroup], output: Output, request: StopRequest) -> None:
        self.sweep_id = output.resumed.header.sweep_id if output.resumed else uuid4().hex
        self.exit_code: ExitCode | None = None
        self._output = output
        self._request = request
        self._header: HeaderRecord | None = output.resumed.header if output.resumed else None
        self._cells = done_cells(output.resumed, groups)
        self._trailer: TrailerRecord | None = None
        self._failure: BaseException | None = None
        self._failure_is_known = False
        self._ended = trio.Event()
        # One header, one trailer: the sweep never waits for room, and holds its records itself anyway.
        send, receive = trio.open_memory_channel[Record](sum(len(group.cells) for group in groups) + 2)
        self._send, self._receive = send, receive

    @property
    def path(self) -> Path | None:
        """Return the file that the records are in now; None where there is none."""
        return self._output.path

    @property
    def results(self) -> SweepResults:
        """Return all that is known so far; of a resumed sweep also what the file had."""
        cells = tuple(self._cells[index] for index in sorted(self._cells))
        return SweepResults(header=self._header, cells=cells, trailer=self._trailer)

    def stop(self) -> None:
        """Ask for the end: the running cell drains and is recorded as interrupted, the trailer is written."""
        self._request.stop.set()

    def abort(self) -> None:
        """Ask for the end at once: the bench process is killed; the trailer is written all the same."""
        self._request.stop.set()
        self._request.abort.set()

    async def wait_ended(self) -> None:
        """Wait for the end, whether it came to all cells or failed; its records need not be read."""
        await self._ended.wait()

    def __aiter__(self) -> RunningSweep:
        """Return itself."""
        return self

    async def __anext__(self) -> Record:
        """Return the next record of this run, once it is written.

        Raises:
            AsyncbenchError: The sweep has failed; what was written before is whole.
        """
        try:
            return await self._receive.receive()
        except trio.EndOfChannel:
            self.raise_failure()
            raise StopAsyncIteration from None

    def raise_failure(self) -> None:
        """Raise what the sweep has failed of, once."""
        if self._failure is not None and not self._failure_is_known:
            self._failure_is_known = True
            raise self._failure

    def take(self, event: SweepEvent) -> None:
        """Take an event; only records count here."""
        if not isinstance(event, RecordWritten):
            return
        record = event.record
        if isinstance(record, HeaderRecord):
            self._header = self._header or record
        elif isinstance(record, CellRecord):
            self._cells[record.index] = record
        else:
            self._trailer = record
        self._send.send_nowait(record)

    def finish(self, exit_code: ExitCode | None, *, failure: BaseException | None = None) -> None:
        """End the stream of records."""
        self.exit_code = exit_code
        self._failure = failure
        self._send.close()
        self._ended.set()

    def take_as_finished(self, read: ResultsRead) -> None:
        """End at once: the file that was to be resumed has it all."""
        self._trailer = read.trailer
        # Not the trailer's: whoever interrupted that run had its last cell measured all the same.
        self.finish(exit_code_of(list(self._cells.values()), interrupted=False))


class SweepContext:
    """Context in which a sweep runs, from entering to leaving; see `open_sweep` in api.

    Not a generator around a nursery, because Trio would wrap every error of the body in a group.

    Args:
        output: A name, or an output that somebody else has opened and closes.
        typed_keys: Keys that somebody gave: what does nothing on the backend is refused.
        are_settled: Whether `configs` are settled already; see `settle_defaults`.
    """

    def __init__(
        self,
        configs: Sequence[SweepConfig],
        *,
        typed_keys: frozenset[str],
        output: Output | OutputName,
        resume: bool,
        subscribers: Sequence[Subscriber],
        are_settled: bool,
    ) -> None:
        self._configs = tuple(configs)
        self._typed_keys = typed_keys
        self._output_name = output
        self._resume = resume
        self._subscribers = tuple(subscribers)
        self._are_settled = are_settled
        self._request = StopRequest()
        self._was_entered = False
        self._closing: ExitStack
        self._running: RunningSweep
        self._nursery_manager: AbstractAsyncContextManager[trio.Nursery]

    async def __aenter__(self) -> RunningSweep:
        if not trio.lowlevel.in_trio_run():
            raise BadInputError(
                "a sweep is opened under Trio, and no Trio is running", remedy="use trio.run, or asyncbench.run(sweep)"
            )
        if self._was_entered:
            raise BadInputError("this sweep was run already", remedy="call open_sweep again")
        self._was_entered = True
        with ExitStack() as stack:
            run, running, output = await self._prepare(stack)
            self._closing = stack.pop_all()
        self._running = running
        self._nursery_manager = trio.open_nursery()
        nursery = await self._nursery_manager.__aenter__()
        if is_finished(output.resumed, run.groups) and output.resumed is not None:
            self._publish(Notice(text=f"{output.name}: nothing is left to measure"))
            running.take_as_finished(output.resumed)
        else:
            nursery.start_soon(self._lead, run, output)
        return running

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            await self._drain()  # noqa: ASYNC102 # it shields itself, and knows its limit
        finally:
            # On a thread, as it may sync; a cancelled task would not even begin with it.
            with trio.CancelScope(shield=True):
                await trio.to_thread.run_sync(self._closing.close)  # noqa: ASYNC102 # a thread's work cannot be cut off
        if error is None:
            self._running.raise_failure()

    async def _drain(self) -> None:
        """End the sweep if it runs, and wait for its end, cancelled or not."""
        self._request.stop.set()
        with trio.CancelScope(shield=True):
            with trio.move_on_after(DRAIN_LIMIT_S):
                await self._running.wait_ended()
            self._request.abort.set()
            await self._running.wait_ended()
        try:
            await self._nursery_manager.__aexit__(None, None, None)
        except BaseExceptionGroup as group:
            # Ctrl-C that reached the sweep's own task in place of the one that waits for it; sys.exit of a subscriber.
            ending = group.subgroup((KeyboardInterrupt, SystemExit))
            if ending is None:
                raise
            first = innermost(ending)
            raise type(first)(*first.args) from group

    async def _prepare(self, stack: ExitStack) -> tuple[SweepRun, RunningSweep, Output]:
        """Check and open everything that the sweep needs; nothing is measured and nothing written."""
        for config in () if self._resume else self._configs:  # a finished sweep can be gone on with without its data
            check_named_files(config)
        read_oom = stack.enter_context(closing(HostMemory())).read_oom
        texts: list[str] = []
        if not self._are_settled:
            with own_error_alone():
                self._configs, texts = await settle_defaults(self._configs, read_oom)
        groups = engine_groups(self._configs, flags=self._typed_keys)
        output = await trio.to_thread.run_sync(self._open_output, stack)
        running = RunningSweep(groups=groups, output=output, request=self._request)
        self._subscribers = (running.take, *self._subscribers)
        if (read := output.resumed) is not None and not is_finished(read, groups):
            texts.append(_resume_text(output.name, read, len(done_cells(read, groups))))
        for text in texts:
            self._publish(Notice(text=text))
        run = self._sweep_run(groups, output, read_oom, sweep_id=running.sweep_id)
        return run, running, output

    def _open_output(self, stack: ExitStack) -> Output:
        if isinstance(self._output_name, Output):
            return self._output_name
        return stack.enter_context(open_output(self._output_name, configs=self._configs, resume=self._resume))

    async def _lead(self, run: SweepRun, output: Output) -> None:
        """Run the sweep. Not cancelled from outside: whoever leaves asks for its end, and it drains."""
        exit_code, failure = None, None
        try:
            with trio.CancelScope(shield=True), structlog.contextvars.bound_contextvars(sweep_id=run.sweep_id):
                writer = ResultsWriter(output.sink, notice=lambda text: self._publish(Notice(text=text)))
                supervisor = Supervisor(run, writer=writer, publish=self._publish, request=self._request)
                exit_code = await supervisor.run()
        except Exception as error:  # noqa: BLE001 # raised where the records are waited for
            failure = own_or_system_error(error) or innermost(error)
            if failure is not error and failure.__cause__ is None:
                failure.__cause__ = error
        finally:
            self._running.finish(exit_code, failure=failure)

    def _publish(self, event: SweepEvent) -> None:
        for subscriber in self._subscribers:
            subscriber(event)

    def _sweep_run(
        self, groups: tuple[EngineGroup, ...], output: Output, read_oom: ReadOom, *, sweep_id: str
    ) -> SweepRun:
        header = HeaderRecord(
            sweep_id=sweep_id,
            created_at=utc_now_text(),
            asyncbench_version=__version__,
            command=sys.argv,
            config=config_facts(self._configs),
            cells=sum(len(group.cells) for group in groups),
            versions=library_versions(),
            host=dict(host_facts()),
            devices=[],
            engines=[],
            runner_cost_ns={},
            seed=self._configs[0].seed,
            resumed=output.resumed is not None,
        )
        return SweepRun(
            sweep_id=sweep_id,
            groups=groups,
            bench_command=BENCH_COMMAND,
            header=header,
            read_oom=read_oom,
            latency_limit=self._configs[0].latency_limit,
            done=done_cells(output.resumed, groups),
        )


def done_cells(read: ResultsRead | None, groups: Sequence[EngineGroup]) -> dict[int, CellRecord]:
    """Return the cells of a resumed file that need not be repeated.

    Under `--on-pressure fail` a cell that did not fit has ended its sweep: whoever goes on has made room for it.
    """
    if read is None:
        return {}
    fails = {index for group in groups if group.config.on_pressure is OnPressure.FAIL for index, _ in group.cells}
    records = {index: read.cells[index] for index in final_cells(read)}
    return {
        index: record
        for index, record in records.items()
        if record.status is not Status.DOES_NOT_FIT or index not in fails
    }


def is_finished(read: ResultsRead | None, groups: Sequence[EngineGroup]) -> bool:
    """Return whether a file that is resumed has every cell, and a trailer."""
    if read is None or read.trailer is None:
        return False
    return len(done_cells(read, groups)) == sum(len(group.cells) for group in groups)


def _resume_text(name: str, read: ResultsRead, done: int) -> str:
    torn = f"; its last line was cut off and is dropped ({counted(read.torn_bytes, 'byte')})" if read.torn_bytes else ""
    return f"going on with {name}: {counted(done, 'cell')} measured before{torn}"
