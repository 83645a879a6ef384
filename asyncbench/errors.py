"""Errors that a user can meet. Each one says what happened, where, and what to do about it.

A class exists where the user does something different, not per call site.
"""

from __future__ import annotations

from enum import IntEnum

Fact = str | int | float | bool | None


class ExitCode(IntEnum):
    """Exit code of the process. Listed in README and in `--help`."""

    OK = 0
    INTERNAL = 1
    BAD_INPUT = 2
    CELLS_FAILED = 3
    INTERRUPTED = 130


class AsyncbenchError(Exception):
    """Base of all errors that are meant for people.

    Args:
        message: What happened and where, on one line, with numbers.
        remedy: One imperative sentence that names the flag or the file to change.
        facts: Plain values that go into the record, units in their names.
    """

    exit_code = ExitCode.INTERNAL

    def __init__(self, message: str, *, remedy: str = "", **facts: Fact) -> None:
        super().__init__(message)
        self.message = message
        self.remedy = remedy
        self.facts: dict[str, Fact] = facts

    def __str__(self) -> str:
        return f"{self.message}: {self.remedy}" if self.remedy else self.message


class BadInputError(AsyncbenchError):
    """An option, a configuration file, a model or a results file cannot be used. Nothing was written."""

    exit_code = ExitCode.BAD_INPUT


class OutputError(AsyncbenchError):
    """The results file cannot be written, or not any more. What was written before it is whole.

    A results file that is lost while it is written is no error where a rescue file can be made, but has this exit code.
    """

    exit_code = ExitCode.BAD_INPUT


class BackendUnavailableError(AsyncbenchError):
    """The backend cannot run on this machine; another one may."""

    exit_code = ExitCode.BAD_INPUT


class DoesNotFitError(AsyncbenchError):
    """Memory for a cell was refused. The cell is recorded as `does_not_fit` and the sweep goes on."""


class LimitError(DoesNotFitError):
    """A limit of the process or its group other than memory was met, such as that of threads: fewer lanes would do."""

    exit_code = ExitCode.BAD_INPUT


class LaneError(AsyncbenchError):
    """An inference failed on a lane. The cell is recorded as `error` and the sweep goes on."""


class DeviceLostError(LaneError):
    """The device or its driver cannot be used any more by this process; a new bench process is needed."""


class BenchProcessDiedError(AsyncbenchError):
    """The bench process ended in the middle of a cell, by a signal or by itself.

    Attributes:
        memory_suspected: Whether memory ended it, for sure or likely.
    """

    memory_suspected = False


class EngineBuildError(AsyncbenchError):
    """The engine builder refused, failed or was killed. No engine was stored; the model itself may be fine."""


class EngineNotBuiltError(AsyncbenchError):
    """The engine is not in the cache, and this command does not build: a dry run. The sweep itself would build it."""


class DownloadError(AsyncbenchError):
    """A file cannot be fetched. What has arrived of it is kept, and the next try goes on from there."""

    exit_code = ExitCode.BAD_INPUT


class InternalError(AsyncbenchError):
    """A mistake of ours. What failed of it is one cell, or one engine; the process that it happened in is replaced."""


def text_line(error: BaseException) -> str:
    """Return what an error says, without its line breaks."""
    return " ".join(str(error).split())


def named_line(error: BaseException) -> str:
    """Return the type of an error of somebody else's and what it says, in one line."""
    return " ".join(f"{type(error).__name__}: {error}".split()).rstrip(": ")
