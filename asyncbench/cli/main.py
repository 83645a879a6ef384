"""The entry point: commands, and an error as one line."""

from __future__ import annotations

import sys

from asyncbench.cli.import_path import without_current_folder

if (path := without_current_folder(sys.path)) != sys.path:
    sys.path[:] = path  # before anything else is looked for

from asyncbench.errors import AsyncbenchError, ExitCode
from asyncbench.process_start import (
    exit_on_signals,
    ignore_signals,
    occupy_closed_descriptors,
    take_signals_as_ctrl_c,
    why_not_started,
)

try:
    # What follows opens files and takes most of a command's first second: signals come then, too.
    occupy_closed_descriptors()
    exit_on_signals()
    from typing import Annotated

    import typer

    from asyncbench import __version__
    from asyncbench.cli.accuracy import accuracy
    from asyncbench.cli.calibrate import calibrate
    from asyncbench.cli.doctor import doctor
    from asyncbench.cli.engines import engines
    from asyncbench.cli.models import model_commands
    from asyncbench.cli.people_stream import guard_streams, stdout_complaint
    from asyncbench.cli.schema import schema
    from asyncbench.cli.stress import stress
    from asyncbench.cli.sweep import sweep
    from asyncbench.cli.usage import usage_complaint
    from asyncbench.error_translation import own_or_system_error
except KeyboardInterrupt:
    sys.exit(ExitCode.INTERRUPTED)
except (ImportError, MemoryError, OSError) as error:
    if (refused := why_not_started(error)) is None:
        raise
    sys.stderr.write(f"asyncbench: {refused}\n")
    sys.exit(ExitCode.BAD_INPUT)

if sys.version_info < (3, 11):
    from exceptiongroup import BaseExceptionGroup

EXIT_CODES = """\
Exit codes: 0 every cell has a result; 1 an internal error; 2 bad input, and nothing was written, \
or the records could not be written where they should be: those that were are whole, and the last line says where; \
3 cells ended as error or invalid, or --on-pressure fail ended it; \
130 interrupted, the results file is valid and --resume goes on."""

_SHOWN_CHARS = 2000
# Typer brings a click of its own or uses the installed one, by version. Its public error leads to the right base.
USAGE_ERROR: type[Exception] = typer.BadParameter.__bases__[0]

app = typer.Typer(
    name="asyncbench",
    help="How many inferences in flight, at which batch, does this device really take? At what latency?",
    epilog=EXIT_CODES,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.command(epilog=EXIT_CODES)(sweep)
app.command(epilog=EXIT_CODES)(accuracy)
app.command()(calibrate)
app.command()(doctor)
app.command()(schema)
app.command()(stress)
app.add_typer(model_commands, name="models")
app.add_typer(engines, name="engines")


@app.callback(invoke_without_command=True)
def _root(
    context: typer.Context,
    *,
    version: Annotated[bool, typer.Option("--version", help="Print the version and exit.")] = False,
) -> None:
    if version:
        typer.echo(f"asyncbench {__version__}")
    elif context.invoked_subcommand is None:
        typer.echo(context.get_help())


def main() -> None:
    """Run the command line and exit with its code; a known error is one line on stderr, an interruption none."""
    stdout = guard_streams()
    try:
        take_signals_as_ctrl_c()
        code = _run_command()
    except KeyboardInterrupt:
        code = ExitCode.INTERRUPTED
    # The code is known: what comes while the interpreter ends must neither change it nor print a traceback.
    ignore_signals()
    if complaint := stdout_complaint(stdout):
        _complain(complaint)
        code = code or ExitCode.BAD_INPUT
    sys.exit(code)


def _run_command() -> int:
    try:
        return int(app(standalone_mode=False) or ExitCode.OK)
    except AsyncbenchError as error:
        _complain(str(error))
        return error.exit_code
    except typer.Abort:
        return ExitCode.INTERRUPTED
    except USAGE_ERROR as error:
        _complain(usage_complaint(getattr(error, "format_message", error.__str__)()))
        return ExitCode.BAD_INPUT
    except BaseExceptionGroup as group:
        # What Ctrl-C becomes inside a nursery.
        return _give_up(group) if group.subgroup(KeyboardInterrupt) is None else ExitCode.INTERRUPTED
    except Exception as error:  # noqa: BLE001 # raised again unless it is known
        return _give_up(error)


def _give_up(error: BaseException) -> int:
    """Say what the system refused in one line; a mistake of ours keeps its traceback."""
    known = own_or_system_error(error)
    if known is None:
        raise error
    _complain(str(known))
    return known.exit_code


def _complain(text: str) -> None:
    line = " ".join(text.split())
    if len(line) > _SHOWN_CHARS:  # a name from a file of megabytes; the remedy stands at the end
        line = f"{line[: _SHOWN_CHARS // 2]} … {line[-_SHOWN_CHARS // 2 :]}"
    typer.echo(f"asyncbench: {line}", err=True)
