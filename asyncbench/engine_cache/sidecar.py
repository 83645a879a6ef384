"""The JSON file beside every engine: what it is an engine of, and what its bytes must be."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pydantic import TypeAdapter, ValidationError

from asyncbench.engine_cache.identity import EngineIdentity


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildFacts:
    """What whoever built an engine says about the build.

    Attributes:
        warnings: What the builder warned of, one line each, the first few.
    """

    build_ns: int
    warnings: tuple[str, ...] = ()


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
