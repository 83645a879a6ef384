"""Output of a sweep: a results file, stdout or another stream, or memory alone."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pydantic import JsonValue

from asyncbench.errors import BadInputError
from asyncbench.results.new_path import refuse_unusable
from asyncbench.results.reader import ResultsRead, read_results
from asyncbench.results.record import Record
from asyncbench.results.results_file import ResultsFile
from asyncbench.results.same_sweep import check_same_sweep
from asyncbench.results.stdout import open_stdout, open_stream
from asyncbench.results.writer import RecordSink
from asyncbench.sweep.config import SweepConfig

STDOUT: Final = "-"


class NoOutput:
    """A sink that keeps nothing: whoever runs the sweep holds its records."""

    def append(self, _record: Record) -> None:
        """See RecordSink."""

    def check(self) -> None:
        """See RecordSink."""

    def close(self) -> None:
        """See RecordSink."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """The place of the records of a sweep, open.

    Attributes:
        name: As it was asked for, for messages.
        resumed: What the file holds that the sweep goes on with; None for a new one.
    """

    name: str
    sink: RecordSink
    resumed: ResultsRead | None = None

    @property
    def path(self) -> Path | None:
        """Return the file that the records are in now; None where there is none."""
        return self.sink.path if isinstance(self.sink, ResultsFile) and self.sink.path.exists() else None

    @property
    def loss(self) -> str | None:
        """Return what became of the file that was asked for, where the records had to go elsewhere."""
        return self.sink.loss if isinstance(self.sink, ResultsFile) else None


@contextmanager
def open_output(
    name: str | os.PathLike[str] | None,
    *,
    configs: Sequence[SweepConfig],
    resume: bool = False,
    or_next_free: bool = False,
) -> Iterator[Output]:
    """Open what `name` names, and let go of it afterwards; a file that nothing was written to is removed.

    Args:
        name: A new file, an open descriptor, a pipe, `-` for stdout, or None for memory alone.
        configs: The sweeps; a file that is resumed must be of them.
        resume: Go on with the file.
        or_next_free: Where the name is taken, take one with a number at its end.

    Raises:
        BadInputError: It cannot be written, is taken, or is no file to go on with.
    """
    output = _open(name, configs=configs, resume=resume, or_next_free=or_next_free)
    with closing(output.sink):
        yield output


def refuse_output(
    name: str | os.PathLike[str] | None,
    *,
    configs: Sequence[SweepConfig],
    resume: bool = False,
    or_next_free: bool = False,
) -> None:
    """Refuse what `open_output` would refuse, and make nothing: for a dry run.

    Raises:
        BadInputError: See `open_output`.
    """
    if name is None or name == STDOUT:
        return
    path = Path(name)
    if resume:
        check_same_sweep(read_results(path, allow_torn=True).header, config_facts(configs))
    elif (stream := open_stream(path)) is not None:
        stream.close()
    else:
        refuse_unusable(path, or_next_free=or_next_free)


def config_facts(configs: Sequence[SweepConfig]) -> list[dict[str, JsonValue]]:
    """Return the sweeps as the header of a results file holds them."""
    return [config.model_dump(mode="json") for config in configs]


def _open(
    name: str | os.PathLike[str] | None, *, configs: Sequence[SweepConfig], resume: bool, or_next_free: bool
) -> Output:
    if resume and (name is None or name == STDOUT):
        raise BadInputError("--resume goes on with a file", remedy="name that file with --output")
    if name is None:
        return Output(name="memory", sink=NoOutput())
    if name == STDOUT:
        return Output(name=STDOUT, sink=open_stdout())
    path = Path(name)
    if resume:
        sink, read = ResultsFile.resume(path, configs=config_facts(configs))
        return Output(name=str(path), sink=sink, resumed=read)
    if (stream := open_stream(path)) is not None:
        return Output(name=str(path), sink=stream)
    return Output(name=str(path), sink=ResultsFile.create(path, or_next_free=or_next_free))
