"""Log of a command: a file of JSON lines, stderr, both or nothing. None of it may end a measurement."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, MutableMapping
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

import structlog

from asyncbench.cli.side_file import SideFile


class _Outlets:
    """The last processor: writes an event wherever it is wanted, and lets nothing through."""

    def __init__(self, *, file: SideFile | None, verbose: bool) -> None:
        self._file = file
        self._console = structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty()) if verbose else None

    def __call__(self, logger: object, method: str, event: MutableMapping[str, Any]) -> str:
        if self._file is not None:
            self._file.write_line(json.dumps(dict(event), default=str))
        if self._console is not None:
            print(self._console(logger, method, dict(event)), file=sys.stderr)  # noqa: T201 # the point of --verbose
        raise structlog.DropEvent


@contextmanager
def logging_to(path: Path | None, *, verbose: bool) -> Iterator[None]:
    """Send events to `path` and, if verbose, to stderr. What cannot be written is left out.

    Raises:
        OutputError: The file cannot be opened.
    """
    with ExitStack() as stack:
        file = None
        if path is not None:
            file = stack.enter_context(closing(SideFile(path, option="--log", append=True)))
        structlog.configure(
            processors=[
                structlog.contextvars.merge_contextvars,
                structlog.processors.add_log_level,
                structlog.processors.TimeStamper(fmt="iso", utc=True),
                _Outlets(file=file, verbose=verbose),
            ],
            # Nothing gets as far as the logger. The default one writes to the stdout that there was when it was
            # imported, and cannot be made where there was none.
            logger_factory=structlog.ReturnLoggerFactory(),
        )
        stack.callback(structlog.reset_defaults)
        yield
