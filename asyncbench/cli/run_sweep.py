"""Running a sweep: where the records go, who shows them, what a signal does."""

from __future__ import annotations

import signal
import sys
from collections.abc import Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import trio
from pydantic import JsonValue
from rich.console import Console

from asyncbench import __version__
from asyncbench.cli.log import logging_to
from asyncbench.cli.show.live import LiveListener
from asyncbench.cli.show.plain import PlainListener
from asyncbench.cli.show.terminal import shows_live
from asyncbench.cli.stop_signals import open_stop_signals
from asyncbench.clock import utc_now_text
from asyncbench.conditions.host import host_facts
from asyncbench.conditions.versions import library_versions
from asyncbench.error_group import own_error_alone
from asyncbench.errors import BadInputError, ExitCode
from asyncbench.event_log import get_logger
from asyncbench.memory.host.probe import HostMemory
from asyncbench.places import BENCH_COMMAND
from asyncbench.results.new_path import refuse_unusable
from asyncbench.results.reader import ResultsRead, final_cells, read_results
from asyncbench.results.record import CellRecord, HeaderRecord
from asyncbench.results.results_file import ResultsFile
from asyncbench.results.same_sweep import check_same_sweep
from asyncbench.results.status import Status
from asyncbench.results.stdout import open_stdout, open_stream
from asyncbench.results.writer import RecordSink, ResultsWriter
from asyncbench.supervisor.engine_group import EngineGroup
from asyncbench.supervisor.supervisor import Supervisor
from asyncbench.supervisor.sweep_run import SweepRun
from asyncbench.supervisor.trailer import exit_code_of
from asyncbench.sweep.config import OnPressure, SweepConfig
from asyncbench.units import counted

_STOPPING = "stopping: waiting for the inferences in flight (press Ctrl-C again to end at once)"
_ENDING_NOW = "ending at once"

_log = get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Invocation:
    """What the command line asked for, checked.

    Attributes:
        output: The results file; None for stdout.
        output_is_named: Whether the user did; else the next free name will do.
    """

    configs: tuple[SweepConfig, ...]
    groups: tuple[EngineGroup, ...]
    output: Path | None
    resume: bool
    log: Path | None
    verbose: bool
    output_is_named: bool = True


def run_sweep(plan: Invocation, console: Console) -> int:
    """Run a sweep to its end and return the exit code."""
    with ExitStack() as stack:
        sink, read = _open_sink(plan)
        stack.enter_context(closing(sink))
        sweep_id = read.header.sweep_id if read else uuid4().hex
        stack.enter_context(logging_to(plan.log, verbose=plan.verbose, sweep_id=sweep_id))
        done = _done(read, plan.groups) if read else {}
        if read and read.trailer and len(done) == sum(len(group.cells) for group in plan.groups):
            console.print(f"{plan.output}: nothing is left to measure", highlight=False, markup=False, soft_wrap=True)
            # Not the trailer's: whoever interrupted that run had its last cell measured all the same.
            return exit_code_of(list(done.values()), interrupted=False)
        listener = _listener(plan, console, done, stack)
        if read:
            listener.notice(_resume_text(plan, read, len(done)))
        run = SweepRun(
            sweep_id=sweep_id,
            groups=plan.groups,
            bench_command=BENCH_COMMAND,
            header=_header(plan, sweep_id, resumed=read is not None),
            read_oom=stack.enter_context(closing(HostMemory())).read_oom,
            latency_limit=plan.configs[0].asked_latency,
            done=done,
        )
        with own_error_alone():
            code = trio.run(_supervise, run, ResultsWriter(sink, notice=listener.notice), listener)
    if isinstance(sink, ResultsFile) and sink.path.exists():
        console.print(_records_text(sink, code), highlight=False, markup=False, soft_wrap=True)
    return code


def _records_text(results: ResultsFile, code: ExitCode) -> str:
    if results.loss is not None:
        return f"records: {results.path}; {results.loss}"
    more = "; the same command with --output and --resume goes on" if code == ExitCode.INTERRUPTED else ""
    return f"records: {results.path}{more}"


def refuse_output(plan: Invocation) -> None:
    """Refuse a results file that the sweep would refuse, and make none: for a dry run.

    Raises:
        BadInputError: It cannot be made, or is no file to go on with.
    """
    if plan.output is None:
        return
    if plan.resume:
        check_same_sweep(read_results(plan.output, allow_torn=True).header, _config_facts(plan.configs))
    elif (stream := open_stream(plan.output)) is not None:
        stream.close()
    else:
        refuse_unusable(plan.output, or_next_free=not plan.output_is_named)


async def _supervise(run: SweepRun, sink: ResultsWriter, listener: PlainListener | LiveListener) -> ExitCode:
    stop_requested, abort_requested = trio.Event(), trio.Event()
    supervisor = Supervisor(
        run, sink=sink, listener=listener, stop_requested=stop_requested, abort_requested=abort_requested
    )
    with open_stop_signals() as signals:
        async with trio.open_nursery() as nursery:

            async def stop_on_signals() -> None:
                async for number in signals:
                    _log.info("signal", signal=signal.Signals(number).name)
                    listener.notice(_ENDING_NOW if stop_requested.is_set() else _STOPPING)
                    (abort_requested if stop_requested.is_set() else stop_requested).set()

            nursery.start_soon(stop_on_signals)
            code = await supervisor.run()
            nursery.cancel_scope.cancel()
    return code


def _done(read: ResultsRead, groups: Sequence[EngineGroup]) -> dict[int, CellRecord]:
    """Return the cells that need not be repeated.

    Under `--on-pressure fail` a cell that did not fit has ended its sweep: whoever goes on has made room for it.
    """
    fails = {index for group in groups if group.config.on_pressure is OnPressure.FAIL for index, _ in group.cells}
    records = {index: read.cells[index] for index in final_cells(read)}
    return {
        index: record
        for index, record in records.items()
        if record.status is not Status.DOES_NOT_FIT or index not in fails
    }


def _open_sink(plan: Invocation) -> tuple[RecordSink, ResultsRead | None]:
    if plan.output is None:
        return open_stdout(), None
    if plan.log is not None and plan.log.resolve() == plan.output.resolve():
        raise BadInputError(f"--log {plan.log}: that is where the records go", remedy="give --log another file")
    if plan.resume:
        return ResultsFile.resume(plan.output, configs=_config_facts(plan.configs))
    if (stream := open_stream(plan.output)) is not None:
        return stream, None
    return ResultsFile.create(plan.output, or_next_free=not plan.output_is_named), None


def _listener(
    plan: Invocation, console: Console, done: dict[int, CellRecord], stack: ExitStack
) -> PlainListener | LiveListener:
    cells = {index: cell for group in plan.groups for index, cell in group.cells}
    if shows_live(console) and not plan.verbose:
        live = LiveListener(console, cells=cells, done=done)
        stack.enter_context(live.shown())
        return live
    return PlainListener(cells=cells, done=done, write=lambda line: print(line, file=sys.stderr, flush=True))  # noqa: T201 # for people


def _resume_text(plan: Invocation, read: ResultsRead, done: int) -> str:
    torn = f"; its last line was cut off and is dropped ({counted(read.torn_bytes, 'byte')})" if read.torn_bytes else ""
    return f"going on with {plan.output}: {counted(done, 'cell')} measured before{torn}"


def _header(plan: Invocation, sweep_id: str, *, resumed: bool) -> HeaderRecord:
    return HeaderRecord(
        sweep_id=sweep_id,
        created_at=utc_now_text(),
        asyncbench_version=__version__,
        command=sys.argv,
        config=_config_facts(plan.configs),
        cells=sum(len(group.cells) for group in plan.groups),
        versions=library_versions(),
        host=dict(host_facts()),
        devices=[],
        engines=[],
        runner_cost_ns={},
        seed=plan.configs[0].seed,
        resumed=resumed,
    )


def _config_facts(configs: Sequence[SweepConfig]) -> list[dict[str, JsonValue]]:
    return [config.model_dump(mode="json") for config in configs]
