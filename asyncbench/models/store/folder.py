"""The cache of weights: its files, and the pin of each that says what its bytes must be."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import TypeAdapter, ValidationError

from asyncbench.files.durable_file import cannot_store
from asyncbench.files.hash import sha256_of


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Pin:
    """The JSON beside the weights, written when the file first came. A later one must have the same hash.

    Attributes:
        source: The address it was fetched from, or the path that it was copied from.
        obtained_at: UTC, `2026-01-31T12:00:00Z`.
        network: The built-in network that the file was recognized as; None where it is none of them.
        complaint: Why it cannot be run as it is; empty where it can.
    """

    schema_version: Literal[1] = 1
    model: str
    sha256: str
    size_bytes: int
    source: str
    licence: str
    obtained_at: str
    network: str | None
    complaint: str = ""


_ADAPTER = TypeAdapter(Pin)


def encode_pin(pin: Pin) -> bytes:
    """Return the pin as indented JSON with a final newline."""
    return _ADAPTER.dump_json(pin, indent=2) + b"\n"


def read_pin(folder: WeightsFolder, model: str) -> Pin | None:
    """Return what was pinned, or None where nothing was or it cannot be read. Blocking."""
    try:
        return _ADAPTER.validate_json(folder.pin_path(model).read_bytes())
    except (OSError, ValidationError):
        return None


def find_weights(folder: WeightsFolder, model: str) -> Pin | None:
    """Return the pin of weights that are there in their full size; their hash is not computed. Blocking."""
    pin = read_pin(folder, model)
    try:
        size_bytes = folder.weights_path(model).stat().st_size
    except OSError:
        return None
    return pin if pin and pin.size_bytes == size_bytes else None


def find_damage(folder: WeightsFolder, pin: Pin) -> str:
    """Return what is wrong with the weights, or nothing. Blocking: reads all of them."""
    path = folder.weights_path(pin.model)
    try:
        size_bytes = path.stat().st_size
        if size_bytes != pin.size_bytes:
            return f"it has {size_bytes} of {pin.size_bytes} bytes"
        return "" if sha256_of([path]) == pin.sha256 else "its SHA-256 is not the pinned one"
    except OSError as error:
        return f"it cannot be read ({error.strerror})"
