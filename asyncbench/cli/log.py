"""Where structlog's events go: a file of JSON lines, stderr, both or nowhere."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import structlog

from asyncbench.errors import OutputError


class _Outlets:
    """The last processor: writes an event wherever it is wanted, and lets nothing through."""

    def __init__(self, *, file: IO[str] | None, verbose: bool) -> None:
        self._file = file
        self._console = structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty()) if verbose else None

    def __call__(self, logger: object, method: str, event: MutableMapping[str, Any]) -> str:
        if self._file is not None:
            self._file.write(json.dumps(dict(event), default=str) + "\n")
            self._file.flush()
        if self._console is not None:
            print(self._console(logger, method, dict(event)), file=sys.stderr)  # noqa: T201 # the point of --verbose
        raise structlog.DropEvent


@contextmanager
def logging_to(path: Path | None, *, verbose: bool, sweep_id: str) -> Iterator[None]:
    """Send events to `path` and, if verbose, to stderr, each with the sweep's id.

    Raises:
        OutputError: The file cannot be written.
    """
    try:
        file = None if path is None else path.open("a", encoding="utf-8")
    except OSError as error:
        raise OutputError(f"--log {path}: {error.strerror}", remedy="name a file that can be written") from error
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _Outlets(file=file, verbose=verbose),
        ]
    )
    try:
        with structlog.contextvars.bound_contextvars(sweep_id=sweep_id):
            yield
    finally:
        structlog.reset_defaults()
        if file is not None:
            file.close()
