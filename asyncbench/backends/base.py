"""Protocols of a backend: an engine per model and device, lanes over it, credits into a lane, stamps out of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, TypeVar

from asyncbench.measurement.stamps import Completions, InferenceStamps
from asyncbench.memory.forecast import MemoryForecast
from asyncbench.sweep.backends.descriptor import BackendOptions
from asyncbench.sweep.cell import Precision
from asyncbench.sweep.config import SweepConfig
from asyncbench.tensors import AnyArray, TensorSpec

Report = Callable[[str], None]
"""Takes one line for people about what opening an engine is at."""
OptionsT_contra = TypeVar("OptionsT_contra", bound=BackendOptions, contravariant=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineRequest:
    """Request for an engine: what to make it of, and what it must be able to run.

    Attributes:
        model_path: An ONNX file.
        batches: Every batch that the sweep will ask of this engine, ascending.
        max_concurrency: The most lanes that the sweep will ask for at once.
        calibration_path: For int8: a calibration table or cache; None where the graph is quantized itself.
        may_build: Whether an engine that is not there may be built, which takes minutes; else it is refused.
        model_hash: What the model is known by, where that was found out already: hashing gigabytes takes seconds.
        graph_precision: In which precision the file computes, such as `int8`; None where that is not known.
    """

    model_name: str
    model_path: Path
    precision: Precision
    device: str
    batches: tuple[int, ...]
    max_concurrency: int
    calibration_path: Path | None = None
    may_build: bool = True
    model_hash: str | None = None
    graph_precision: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineFacts:
    """Facts that hold for as long as an engine is open. All of it goes into the header.

    Attributes:
        engine_hash: SHA-256 of what was loaded: the plan, or the model where there is no plan.
        load_ns: What opening took: deserialization, or session creation.
        extra: Whatever else the backend wants in the header: thread pools, graph, flags.
    """

    backend: str
    backend_version: str
    device: str
    device_name: str
    engine_hash: str
    load_ns: int
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    extra: Mapping[str, str | int | float | bool | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class LaneFacts:
    """Facts of the lanes that were opened last: how they run. Goes into the record of each cell.

    Attributes:
        graph: Whether a captured graph is replayed; None where there is no such thing.
        graph_reason: Why it is not.
        completion: How completions are noticed, such as `spin`; None where a lane just returns.
    """

    depth: int = 1
    graph: bool | None = None
    graph_reason: str | None = None
    completion: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineMemory:
    """The device's memory, and what this engine holds of it.

    Attributes:
        free_bytes: What nobody holds; None where the engine runs in host memory.
        total_bytes: Of the device; None as above.
        engine_bytes: What stays as long as the engine is open: weights, above all.
        kept_bytes: What its lanes hold, those included that are kept for the next cell.
        open_bytes: What the lanes hold that are open now.
        shared_with_host: Whether the device's memory is the host's, as on a Jetson.
    """

    free_bytes: int | None = None
    total_bytes: int | None = None
    engine_bytes: int = 0
    kept_bytes: int = 0
    open_bytes: int = 0
    shared_with_host: bool = False


class Lane(Protocol):
    """Stream, buffers and context of one inference in flight. One worker drives it; no two tasks call it at once.

    A credit is the right to start one inference. While it has credits a lane starts the next inference by itself as
    soon as the last one has completed; completions queue up, bounded by `max_credits`, until they are taken.
    """

    @property
    def index(self) -> int:
        """Position of the lane among its siblings, from 0."""

    @property
    def max_credits(self) -> int:
        """The most inferences that may be granted and not yet taken as completions."""

    def give_credits(self, count: int) -> None:
        """Allow `count` more inferences; the first starts at once if the lane is idle.

        Raises:
            ValueError: More than `max_credits` would be outstanding.
        """

    def take_credits_back(self) -> int:
        """Withdraw the credits of inferences that have not started, and return how many those were."""

    async def wait_completions(self) -> Completions:
        """Return at least one inference that has ended. Cancelling loses none.

        Raises:
            LaneError: An inference failed; the lane is stopped.
            DoesNotFitError: It was refused memory; as above.
        """

    def completions_nowait(self) -> Completions:
        """Return what has ended and was not taken yet, perhaps nothing.

        Raises:
            LaneError: An inference failed; the lane is stopped.
            DoesNotFitError: It was refused memory; as above.
        """

    async def infer(self) -> InferenceStamps:
        """Run one inference and return its stamps. The lane must have no credits. Cancelling leaves it running.

        Raises:
            LaneError: The inference failed; the lane is stopped.
            DoesNotFitError: It was refused memory; as above.
        """

    async def wait_idle(self) -> None:
        """Wait until nothing is in flight. Never starts anything; callable while cancelled, inside a shield."""

    def read_outputs(self) -> Mapping[str, AnyArray]:
        """Return copies of the outputs of the last inference, each `(batch, …)`. Only while idle."""

    def write_inputs(self, inputs: Mapping[str, AnyArray]) -> None:
        """Replace the inputs, each `(batch, *item_shape)`. Blocking, on any thread; only while idle."""

    async def free_memory(self) -> None:
        """Give the memory of an idle lane back; until `take_memory` it must not be given credits.

        Its completions must have been taken before. Cancelling waits until it is done.
        """

    async def take_memory(self) -> None:
        """Take the memory of a lane again, with the inputs that it was opened with.

        Raises:
            DoesNotFitError: It was refused; the lane is as before.
        """

    def abandon(self, reason: str) -> None:
        """Give up on a lane that does not become idle: its memory is leaked on purpose, and said so in the log."""


class Engine(Protocol):
    """A model, ready to run on one device; shared by all lanes."""

    @property
    def facts(self) -> EngineFacts:
        """Facts of this engine."""

    @property
    def lane_facts(self) -> LaneFacts:
        """Facts of the lanes that were opened last."""

    def now_ns(self) -> int:
        """Return the clock that the lanes stamp with."""

    def forecast(self, *, batch: int, lanes: int) -> MemoryForecast:
        """Predict what `lanes` lanes at `batch` take. At most linear in both; never falls when either rises."""

    async def read_memory(self) -> EngineMemory:
        """Look at the device's memory now."""

    async def free_lanes(self) -> None:
        """Free the lanes that are kept for the next cell; none may be open."""

    def open_lanes(
        self, *, batch: int, count: int, inputs: Mapping[str, AnyArray]
    ) -> AbstractAsyncContextManager[Sequence[Lane]]:
        """Build `count` lanes, each with its own copy of `inputs`, each array `(batch, *item_shape)`.

        Leaving the context drains every lane before anything of it is freed.

        Raises:
            DoesNotFitError: Memory was refused; nothing is held.
        """

    def open_empty_lane(self) -> AbstractAsyncContextManager[Lane]:
        """Build a lane whose inference does nothing: what is left is the runner's own cost."""


class Backend(Protocol):
    """A runtime."""

    @property
    def name(self) -> str:
        """The name on the command line, such as `onnxruntime`."""

    def open_engine(self, request: EngineRequest) -> AbstractAsyncContextManager[Engine]:
        """Load or build the engine; leaving the context frees it.

        Raises:
            BadInputError: The model cannot be used.
            BackendUnavailableError: This machine cannot run it at that precision.
        """


class BackendFactory(Protocol[OptionsT_contra]):
    """Function that makes a backend in the bench process; the backend's descriptor names it."""

    def __call__(self, options: OptionsT_contra, *, config: SweepConfig, report: Report) -> Backend:
        """Return the backend. Opens nothing yet.

        Args:
            options: The backend's own section.
            config: The sweep, for what concerns every backend: its seed, its limits.

        Raises:
            BackendUnavailableError: What it needs is not installed.
            BadInputError: Its options cannot be used.
        """
