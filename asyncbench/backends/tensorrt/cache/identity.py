"""Identity of an engine. Equal identities mean an equal engine; anything else is another engine."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, fields


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineIdentity:
    """Everything that decides whether a stored engine may be used here, and is the fastest that could be built.

    Attributes:
        model_sha256: Of the ONNX file and of the files with its external weights.
        profiles: (min, opt, max) batch of each optimization profile.
        static_shapes: True if the network itself was fixed to the one batch.
        flags: Builder settings as `name=value`, sorted.
        calibration_sha256: Of the calibration cache, where one was used.
        flavour: The product, `tensorrt` or `tensorrt_rtx`; an engine of one is garbage to the other. The names of the
            keys are part of the hash that engines are found by, and stay.
        flavour_version: The full version: engines run only with the version that built them.
        compute_capability: Such as `9.0`. What was tuned on another GPU may load here and still be slow.
        driver_major: Of the driver, such as 570; 0 where there is none (built ahead of time).
        recipe: Version of the way we build; raised when the same settings give another engine.
    """

    model_sha256: str
    precision: str
    profiles: tuple[tuple[int, int, int], ...]
    static_shapes: bool
    flags: tuple[str, ...]
    calibration_sha256: str | None
    flavour: str
    flavour_version: str
    gpu_name: str
    compute_capability: str
    driver_major: int
    cuda_major: int
    recipe: int

    def key(self) -> str:
        """Return the SHA-256 of the identity as canonical JSON, 64 hex digits: the name of the engine's files."""
        canonical = json.dumps(asdict(self), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()


def explain_difference(wanted: EngineIdentity, stored: Iterable[EngineIdentity]) -> str:
    """Say in one line why no stored engine for the same request will do; empty if there is none for it.

    The same request is the same model, precision and batches; what differs then is the machine or the way we build.
    """
    candidates = [one for one in stored if _request(one) == _request(wanted)]
    if not candidates:
        return ""
    closest = min(candidates, key=lambda one: len(_differing(wanted, one)))
    return "; ".join(
        f"the stored one has {name} {getattr(closest, name)!s}, this is {getattr(wanted, name)!s}"
        for name in _differing(wanted, closest)
    )


def _request(one: EngineIdentity) -> tuple[object, ...]:
    return one.model_sha256, one.precision, one.profiles, one.static_shapes


def _differing(wanted: EngineIdentity, other: EngineIdentity) -> list[str]:
    return [field.name for field in fields(wanted) if getattr(wanted, field.name) != getattr(other, field.name)]
