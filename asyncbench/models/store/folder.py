"""Where weights lie, and what each file is called."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from asyncbench.files.durable_file import cannot_store


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightsFolder:
    """One cache of weights, at most one file per built-in network. Every file starts with the network's name."""

    root: Path

    def weights_path(self, model: str) -> Path:
        """Return the path of the ONNX file; where there is no pin beside it, it was never finished."""
        return self.root / f"{model}.onnx"

    def pin_path(self, model: str) -> Path:
        """Return the path of the JSON that says what the file must be."""
        return self.root / f"{model}.onnx.json"

    def part_path(self, model: str) -> Path:
        """Return where what has arrived so far is kept."""
        return self.root / f"{model}.onnx.part"

    def part_facts_path(self, model: str) -> Path:
        """Return the path of the JSON that says what the part is a part of."""
        return self.root / f"{model}.onnx.part.json"

    def copy_path(self, model: str) -> Path:
        """Return where the holder of the lock copies a file to before it is committed."""
        return self.root / f"{model}.onnx.tmp"

    def lock_path(self, model: str) -> Path:
        """Return the path of the lock that whoever fetches this file holds."""
        return self.root / f"{model}.onnx.lock"

    def create(self) -> None:
        """Create the folder.

        Raises:
            OutputError: It cannot be created.
        """
        try:
            self.root.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise cannot_store(self.root, error) from error
