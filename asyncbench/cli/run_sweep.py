"""A sweep on the command line: its output, its view, its signals."""

from __future__ import annotations

import signal
import sys
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import trio
from rich.console import Console

from asyncbench.api import open_configs
from asyncbench.cli.log import logging_to
from asyncbench.cli.show.live import LiveView
from asyncbench.cli.show.plain import PlainLines
from asyncbench.cli.show.terminal import shows_live
from asyncbench.cli.stop_signals import open_stop_signals
from asyncbench.error_group import own_error_alone
from asyncbench.errors import BadInputError, ExitCode
from asyncbench.event_log import get_logger
from asyncbench.results.record import CellRecord
from asyncbench.supervisor.engine_group import EngineGroup
from asyncbench.supervisor.events import Notice
from asyncbench.supervisor.output import STDOUT, Output, open_output, refuse_output
from asyncbench.supervisor.running_sweep import RunningSweep, done_cells, is_finished
from asyncbench.sweep.config import SweepConfig

_STOPPING = "stopping: waiting for the inferences in flight (press Ctrl-C again to end at once)"
_ENDING_NOW = "ending at once"

_log = get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class Invocation:
    """A sweep as the command line asked for it, checked.

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

    @property
    def output_name(self) -> Path | str:
        """The output as `open_output` takes it."""
        return STDOUT if self.output is None else self.output

    @property
    def typed_keys(self) -> frozenset[str]:
        """The keys of the configurations that the command line gave."""
        return frozenset().union(*(group.flags for group in self.groups))


def run_sweep(plan: Invocation, console: Console) -> int:
    """Run a sweep to its end and return the exit code."""
    if plan.output is not None and plan.log is not None and plan.log.resolve() == plan.output.resolve():
        raise BadInputError(f"--log {plan.log}: that is where the records go", remedy="give --log another file")
    with ExitStack() as stack:
        output = stack.enter_context(
            open_output(
                plan.output_name,
                configs=plan.configs,
                resume=plan.resume,
                or_next_free=not plan.output_is_named,
            )
        )
        stack.enter_context(logging_to(plan.log, verbose=plan.verbose))
        done = done_cells(output.resumed, plan.groups)
        view = _view(plan, console, done, stack, is_over=is_finished(output.resumed, plan.groups))
        with own_error_alone():
            code = trio.run(_run_until_signal, plan, output, view)
        path, loss = output.path, output.loss
    if path is not None and not is_finished(output.resumed, plan.groups) and path.exists():
        text = _records_text(path, loss, code)
        console.print(text, highlight=False, markup=False, soft_wrap=True)
    return code


def refuse_outputs_of(plan: Invocation) -> None:
    """Refuse a results file that the sweep would refuse, and make none: for a dry run.

    Raises:
        BadInputError: It cannot be made, or is no file to go on with.
    """
    refuse_output(plan.output_name, configs=plan.configs, resume=plan.resume, or_next_free=not plan.output_is_named)


def _records_text(path: Path, loss: str | None, code: ExitCode) -> str:
    if loss is not None:
        return f"records: {path}; {loss}"
    more = "; the same command with --output and --resume goes on" if code == ExitCode.INTERRUPTED else ""
    return f"records: {path}{more}"


async def _run_until_signal(plan: Invocation, output: Output, view: PlainLines | LiveView) -> ExitCode:
    sweep = open_configs(
        plan.configs,
        typed_keys=plan.typed_keys,
        output=output,
        resume=plan.resume,
        subscribers=[view],
        are_settled=True,
    )
    with open_stop_signals() as signals:
        async with trio.open_nursery() as nursery, sweep as running:

            async def stop_on_signals() -> None:
                is_stopping = False
                async for number in signals:
                    _log.info("signal", signal=signal.Signals(number).name, sweep_id=running.sweep_id)
                    view(Notice(text=_ENDING_NOW if is_stopping else _STOPPING))
                    (running.abort if is_stopping else running.stop)()
                    is_stopping = True

            nursery.start_soon(stop_on_signals)
            await _wait_end(running)
            nursery.cancel_scope.cancel()
    return running.exit_code or ExitCode.OK


async def _wait_end(running: RunningSweep) -> None:
    async for _ in running:
        pass


def _view(
    plan: Invocation, console: Console, done: dict[int, CellRecord], stack: ExitStack, *, is_over: bool
) -> PlainLines | LiveView:
    cells = {index: cell for group in plan.groups for index, cell in group.cells}
    if shows_live(console) and not plan.verbose and not is_over:
        live = LiveView(console, cells=cells, done=done)
        stack.enter_context(live.shown())
        return live
    return PlainLines(cells=cells, done=done, write=lambda line: print(line, file=sys.stderr, flush=True))  # noqa: T201 # for people
