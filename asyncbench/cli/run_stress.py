"""A run of `asyncbench stress`: its scenarios, its report, and signals."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path

import trio
import typer

from asyncbench.cli.side_file import SideFile
from asyncbench.cli.usage import read_option
from asyncbench.clock import utc_now_text
from asyncbench.conditions.host import cpu_name, cpus_allowed, host_facts
from asyncbench.errors import BadInputError, ExitCode
from asyncbench.process_start import ending_signals
from asyncbench.stress.context import Finding, StressSettings
from asyncbench.stress.gpu import check_parts
from asyncbench.stress.report import make_row, read_rows, update_page
from asyncbench.stress.suite import DEFAULT_SCENARIOS, SCENARIOS, Scenario, ScenarioEnd, run_suite
from asyncbench.units import counted, format_size, parse_duration_ns

SOAK = "soak"


def run_stress(
    *,
    seed: int,
    only: list[str] | None,
    quick: bool,
    gpu_parts: tuple[str, ...],
    soak: str | None,
    report: Path | None,
    docs: Path | None,
) -> ExitCode:
    """Run the scenarios that the options of `asyncbench stress` choose, and return the exit code.

    Raises:
        BadInputError: An option cannot be used; nothing was started.
    """
    names = chosen_scenarios(only, soak)
    check_parts(gpu_parts)
    settings = StressSettings(
        seed=seed,
        quick=quick,
        gpu_parts=gpu_parts,
        tactic_sources=os.environ.get("ASYNCBENCH_TACTIC_SOURCES"),
        **({} if soak is None else {"soak_ns": read_option("--soak", parse_duration_ns, soak)}),
    )
    if docs is not None:
        read_rows(docs)  # what cannot be used is said before hours have gone
    with _reporting_to(report) as report_finding:
        scenarios = {name: SCENARIOS[name] for name in names}
        held = trio.run(_run, scenarios, settings, report_finding, partial(_ended, docs))
    if held is None:
        return ExitCode.INTERRUPTED
    return ExitCode.OK if held else ExitCode.INTERNAL


def chosen_scenarios(only: list[str] | None, soak: str | None) -> tuple[str, ...]:
    """Return the scenarios to run, in their order.

    Raises:
        BadInputError: One is unknown.
    """
    for name in only or ():
        if name not in SCENARIOS:
            raise BadInputError(f"--only {name}: no such scenario", remedy=f"choose from {', '.join(SCENARIOS)}")
    if soak is not None:
        only = [*(only or ()), SOAK]
    return tuple(name for name in SCENARIOS if name in (only or DEFAULT_SCENARIOS))


async def _run(
    scenarios: Mapping[str, Scenario],
    settings: StressSettings,
    report: Callable[[Finding], None],
    ended: Callable[[ScenarioEnd], None],
) -> bool | None:
    """Return whether every promise held, or None where a signal came; by then all that was started is gone."""
    held: bool | None = None
    with trio.open_signal_receiver(*ending_signals()) as signals:
        async with trio.open_nursery() as nursery:

            async def stop_on_signal() -> None:
                async for _ in signals:
                    nursery.cancel_scope.cancel()

            nursery.start_soon(stop_on_signal)
            held = await run_suite(scenarios, settings, report=report, ended=ended)
            nursery.cancel_scope.cancel()
    return held


@contextmanager
def _reporting_to(path: Path | None) -> Iterator[Callable[[Finding], None]]:
    """Yield who takes findings: the report, and stderr for what a person must know.

    Raises:
        OutputError: The report cannot be written.
    """
    if path is None:
        yield partial(_report_finding, None)
        return
    with closing(SideFile(path, option="--report", append=False)) as file:
        yield partial(_report_finding, file)


def _report_finding(file: SideFile | None, finding: Finding) -> None:
    if file is not None:
        file.write_line(finding.to_line().rstrip("\n"))
    if finding.is_verdict or finding.held is False:
        mark = {True: "kept   ", False: "BROKEN ", None: "skipped"}[finding.held]
        name = f"{finding.scenario} {finding.part}".strip()
        what = f"{finding.step}: {finding.figures}" if finding.step else finding.figure
        typer.echo(f"{mark} {name}: {finding.promise}: {what}", err=True)


def _ended(docs: Path | None, end: ScenarioEnd) -> None:
    typer.echo(f"------- {end.name}: {end.took_s:.0f} s", err=True)
    if docs is not None:
        command = " ".join(["scripts/stress", *_arguments_without_files()])
        machine = ", ".join(filter(None, (machine_text(), end.device)))
        row = partial(make_row, command=command, date=utc_now_text(), machine=machine, took_s=end.took_s)
        update_page(docs, [row(verdict) for verdict in end.verdicts])


def _arguments_without_files() -> Iterator[str]:
    arguments = iter(sys.argv[2:])
    for argument in arguments:
        if argument in ("--docs", "--report"):
            next(arguments, None)
        elif not argument.startswith(("--docs=", "--report=")):
            yield argument


def machine_text() -> str:
    """Return what a reader needs to know of the machine; never its name."""
    facts = host_facts()
    memory = facts["memory_bytes"]
    size = format_size(memory) if isinstance(memory, int) else "?"
    return f"{cpu_name()}, {counted(cpus_allowed(), 'processor')}, {size}, Linux {facts['kernel']}"
