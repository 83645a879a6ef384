"""`asyncbench sweep`: its options, checked before anything is touched."""

from __future__ import annotations

import os
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from asyncbench.cli.config_options import with_config_options
from asyncbench.cli.run_dry import run_dry
from asyncbench.cli.run_sweep import Invocation, refuse_outputs_of, run_sweep
from asyncbench.cli.settle import settle_defaults
from asyncbench.cli.show.terminal import people_console
from asyncbench.clock import utc_file_text
from asyncbench.errors import BadInputError
from asyncbench.files.user_file import read_user_text
from asyncbench.models.model_argument import HELP, model_keys_of_each
from asyncbench.supervisor.engine_group import engine_groups
from asyncbench.supervisor.named_files import check_named_files
from asyncbench.sweep.config import SweepConfig
from asyncbench.sweep.loading import load_config, merge_config, read_flags
from asyncbench.sweep.options import config_options

STDOUT = "-"
RESULTS_FOLDER = Path("results")
MAX_LABEL_BYTES = 200
MAX_BYTES_OF_A_CHARACTER = 4


@with_config_options(config_options())
def sweep(
    model: Annotated[list[str] | None, typer.Argument(help=HELP + " Several: one after the other.")] = None,
    *,
    options: dict[str, Any],
    config: Annotated[
        Path | None, typer.Option("--config", help="A sweep, several, or the predecessor's tasks, as JSON.")
    ] = None,
    output: Annotated[
        str | None, typer.Option(help="Where the records go; - for stdout. Default: results/<time>-<model>.jsonl.")
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the file that --output names.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be measured, and stop.")] = False,
    log: Annotated[Path | None, typer.Option(help="Write events to this file as JSON lines.")] = None,
    verbose: Annotated[bool, typer.Option("--verbose", "-v", help="Show the events on stderr.")] = False,
) -> int:
    """Measure every concurrency x batch of a network on a device, one record a cell."""
    named = model_keys_of_each(model or [], options.pop("model_file", None))
    flags = read_flags(options)
    each = [merge_config(flags, read_flags(keys), source="") for keys in named]
    console = people_console()
    notice = partial(console.print, highlight=False, markup=False, soft_wrap=True)
    configs = settle_defaults(read_configs(config, *each, notice=notice), console)
    plan = make_plan(configs, flags, output=output, resume=resume, log=log, verbose=verbose)
    if dry_run:
        refuse_outputs_of(plan)
        return run_dry(plan.groups, console, log=log, verbose=verbose)
    return run_sweep(plan, console)


def make_plan(
    configs: tuple[SweepConfig, ...],
    flags: SweepConfig,
    *,
    output: str | None,
    resume: bool,
    log: Path | None,
    verbose: bool,
) -> Invocation:
    """Return what `run_sweep` is to do; the options are those of the command line, and `flags` is in `configs`.

    Raises:
        BadInputError: A resumed sweep does not say which file, or an option names what is no file.
    """
    for config in () if resume else configs:  # a finished sweep can be gone on with where its data set has gone
        check_named_files(config)
    return Invocation(
        configs=configs,
        groups=engine_groups(configs, flags=flags.given_keys()),
        output=output_path(output, configs[0], resume=resume),
        resume=resume,
        log=log,
        verbose=verbose,
        output_is_named=output is not None,
    )


def read_configs(
    path: Path | None, *flags: SweepConfig, notice: Callable[[str], None] = lambda _: None
) -> tuple[SweepConfig, ...]:
    """Return the sweeps of a file with the flags over them, or those that the flags describe.

    Args:
        flags: What the command line says, for each network that it names. The file is read once: it may be a pipe.
        notice: Takes one line for people about keys of the file that have another place now.

    Raises:
        BadInputError: The file cannot be read, or says something that cannot be used.
    """
    if path is None:
        return flags
    text = read_user_text(path, what="--config", remedy="name a JSON file")
    # What comes through a pipe, such as `--config <(jq ...)` or /dev/stdin, has no folder of its own.
    is_stream = path.is_fifo() or path.is_relative_to("/dev")
    folder = "." if is_stream else str(path.parent)
    loaded = load_config(text, source=str(path), base_folder=folder, notice=notice)
    return tuple(merge_config(one, upper, source=str(path)) for upper in flags for one in loaded)


def output_path(output: str | None, config: SweepConfig, *, resume: bool) -> Path | None:
    """Return the results file, or None for stdout.

    Raises:
        BadInputError: A resumed sweep does not say which file.
    """
    if resume and output in (None, STDOUT):
        raise BadInputError("--resume goes on with a file", remedy="name that file with --output")
    if output is None:
        return RESULTS_FOLDER / f"{utc_file_text()}-{_short_enough(config.model_label)}.jsonl"
    return None if output == STDOUT else Path(output)


def _short_enough(label: str) -> str:
    """Return a model's label as a part of a file's name, which may have 255 bytes in all."""
    return label if len(os.fsencode(label)) <= MAX_LABEL_BYTES else label[: MAX_LABEL_BYTES // MAX_BYTES_OF_A_CHARACTER]
