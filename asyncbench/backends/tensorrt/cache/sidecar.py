"""The JSON file beside every engine: what it is an engine of, and what its bytes must be."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pydantic import TypeAdapter, ValidationError

from asyncbench.backends.tensorrt.cache.identity import EngineIdentity


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildTry:
    """One try to build an engine.

    Attributes:
        workspace_bytes: The limit of scratch memory that was tried; None left it to the builder.
        outcome: `built`, or why there was no engine, on one line.
    """

    workspace_bytes: int | None
    outcome: str
    took_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildFacts:
    """Facts of a build, by whoever built the engine.

    Attributes:
        build_ns: Of the try that gave the engine.
        warnings: What the builder warned of, one line each, the first few.
        workspace_bytes: The limit of scratch memory that it was built with; None left it to the builder. No part of
            the identity, unless the user set it.
        peak_device_bytes: The most that the builder held on the device; None where that was not counted.
        tries: All of them, the one that gave the engine last; empty where nobody wrote them down.
    """

    build_ns: int
    warnings: tuple[str, ...] = ()
    workspace_bytes: int | None = None
    peak_device_bytes: int | None = None
    tries: tuple[BuildTry, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Sidecar:
    """The contents of `<key>.json`. It is written last: an engine without it was never finished.

    Attributes:
        label: For people, such as `mobilenet fp16`; no part of the key.
        built_at: UTC, `2026-01-31T12:00:00Z`.
    """

    schema_version: Literal[1] = 1
    key: str
    label: str
    identity: EngineIdentity
    engine_sha256: str
    engine_bytes: int
    built_at: str
    build: BuildFacts


_ADAPTER = TypeAdapter(Sidecar)


def encode_sidecar(sidecar: Sidecar) -> bytes:
    """Return the sidecar as indented JSON with a final newline."""
    return _ADAPTER.dump_json(sidecar, indent=2) + b"\n"


def decode_sidecar(text: bytes) -> Sidecar | None:
    """Return what `encode_sidecar` wrote, or None if it is anything else. Unknown keys are ignored."""
    try:
        return _ADAPTER.validate_json(text)
    except ValidationError:
        return None
