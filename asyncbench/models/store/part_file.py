"""A file of which a part has arrived, and what it is a part of. Everything here blocks: call it in a worker thread."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter, ValidationError

from asyncbench.files.durable_file import cannot_store, write_durably
from asyncbench.models.store.http_rules import PartFacts

_ADAPTER = TypeAdapter(PartFacts)


@dataclass(frozen=True, slots=True, kw_only=True)
class PartFile:
    """The two files of a download that may not be finished."""

    path: Path
    facts_path: Path

    def size_bytes(self) -> int:
        """Return how much is there; 0 where nothing is."""
        try:
            return self.path.stat().st_size
        except FileNotFoundError:
            return 0

    def facts(self, url: str) -> PartFacts | None:
        """Return what the part is a part of, or None where that is not the file at `url`, or cannot be told."""
        try:
            facts = _ADAPTER.validate_json(self.facts_path.read_bytes())
        except (OSError, ValidationError):
            return None
        return facts if facts.url == url else None

    def begin(self, facts: PartFacts) -> None:
        """Forget what is there; what comes from now on is a part of `facts`.

        Raises:
            OutputError: The folder cannot be written.
        """
        # In this order: a crash in between must not leave old bytes beside new facts.
        self.discard()
        write_durably(self.facts_path, _ADAPTER.dump_json(facts) + b"\n")

    def append(self, chunk: bytes) -> None:
        """Write behind what is there.

        Raises:
            OutputError: The disk is full, or the folder cannot be written.
        """
        with _reporting(self.path), self.path.open("ab", buffering=0) as file:
            view = memoryview(chunk)
            while view:
                view = view[file.write(view) :]

    def discard(self) -> None:
        """Remove both files.

        Raises:
            OutputError: They cannot be removed.
        """
        with _reporting(self.path):
            self.path.unlink(missing_ok=True)
            self.facts_path.unlink(missing_ok=True)


@contextmanager
def _reporting(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise cannot_store(path, error) from error
