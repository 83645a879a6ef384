"""Messages between the builder's parent and child: one JSON request in, JSON lines out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field, TypeAdapter

from asyncbench.backends.tensorrt.build.engine_choice import EngineShape
from asyncbench.sweep.cell import Precision
from asyncbench.text_enum import TextEnum


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildSettings:
    """Settings of a build; each of these makes another engine.

    Attributes:
        workspace_bytes: The most scratch memory that a kernel may take; None derives it from what is free.
        tactic_sources: TensorRT's names, such as `JIT_CONVOLUTIONS`; None leaves it to TensorRT.
        max_aux_streams: Streams beside its own that an engine may use; 0 keeps a lane on one stream.
    """

    workspace_bytes: int | None = None
    tactic_sources: tuple[str, ...] | None = None
    max_aux_streams: int | None = None

    def flags(self) -> tuple[str, ...]:
        """Return what is set as sorted `name=value`."""
        sources = None if self.tactic_sources is None else "+".join(sorted(self.tactic_sources))
        named = {
            "max_aux_streams": self.max_aux_streams,
            "tactic_sources": sources,
            "workspace_bytes": self.workspace_bytes,
        }
        return tuple(f"{name}={value}" for name, value in sorted(named.items()) if value is not None)


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildRequest:
    """One build.

    Attributes:
        module_name: Which TensorRT to import, such as `tensorrt`.
        engine_path: Where to write; the parent owns the file.
        compute_capability: Of the GPU to build for; only RTX can build for another GPU than the one that is there.
        calibration_cache_path: INT8 scales, where the graph is not quantized and the version takes them.
        timing_cache_path: Kernel timings shared with other builds; read and added to.
        workspace_bytes: The limit of this try, whatever the settings say; None leaves it to TensorRT.
        device_budget_bytes: The most device memory that TensorRT may hold at once; None for all there is.
    """

    module_name: str
    model_path: str
    engine_path: str
    precision: Precision
    shape: EngineShape
    settings: BuildSettings
    compute_capability: tuple[int, int] | None = None
    calibration_cache_path: str | None = None
    timing_cache_path: str | None = None
    workspace_bytes: int | None = None
    device_budget_bytes: int | None = None


class FailureKind(TextEnum):
    """Kind of a failure: which error the parent raises for it."""

    BAD_INPUT = "bad_input"
    UNAVAILABLE = "unavailable"
    OUT_OF_MEMORY = "out_of_memory"
    BUILDER = "builder"


@dataclass(frozen=True, slots=True, kw_only=True)
class PhaseEvent:
    """The build has come further. `done_ratio` never falls."""

    event: Literal["phase"] = "phase"
    phase: str
    done_ratio: float


@dataclass(frozen=True, slots=True, kw_only=True)
class DoneEvent:
    """The engine is written. The last event.

    Attributes:
        peak_device_bytes: The most that TensorRT held through its allocator; 0 where it builds without a GPU.
    """

    event: Literal["done"] = "done"
    build_ns: int
    warnings: tuple[str, ...]
    peak_device_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FailedEvent:
    """There is no engine. The last event."""

    event: Literal["failed"] = "failed"
    kind: FailureKind
    message: str
    remedy: str


BuildEvent = PhaseEvent | DoneEvent | FailedEvent
REQUESTS: TypeAdapter[BuildRequest] = TypeAdapter(BuildRequest)
EVENTS: TypeAdapter[BuildEvent] = TypeAdapter(Annotated[BuildEvent, Field(discriminator="event")])
