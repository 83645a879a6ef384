"""Messages between the supervisor and a bench process: one JSON object a line, over two pipes."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, JsonValue, TypeAdapter, field_serializer

from asyncbench import errors
from asyncbench.errors import AsyncbenchError, Fact
from asyncbench.results.record import CellRecord
from asyncbench.sweep.cell import Cell, Precision
from asyncbench.sweep.config import SweepConfig, check_config


class Message(BaseModel):
    """Base of all messages."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def _checked_config(value: object) -> object:
    # Which sections a configuration has depends on the backends that it names.
    return check_config(value, source="") if isinstance(value, dict) else value


class OpenEngine(Message):
    """Open an engine, closing the one that is open. Answered by EngineOpened or Refused."""

    do: Literal["open"] = "open"
    sweep_id: str
    config: Annotated[SweepConfig, BeforeValidator(_checked_config)]
    precision: Precision
    device: str
    may_build: bool = True
    """True where an engine that is not in the cache may be built."""
    flags: frozenset[str] = frozenset()
    """The keys of `config` that the command line gave; of a section as `tensorrt.depth`."""

    @field_serializer("config")
    def _only_what_was_given(self, config: SweepConfig) -> dict[str, JsonValue]:
        # A default that arrives as a value would look as if the user had asked for it.
        return config.model_dump(mode="json", exclude_unset=True)


class InspectNetwork(Message):
    """Tell what an ONNX file can be asked for, before a grid is made of it. Answered by NetworkInspected or Refused."""

    do: Literal["inspect"] = "inspect"
    model_file: str


class RunCell(Message):
    """Measure a cell on the open engine. Answered by CellProgress messages and one CellEnded."""

    do: Literal["cell"] = "cell"
    index: int
    cell: Cell
    attempt: int = 1
    max_lanes: int | None = None
    """After a process has died of this cell: how many lanes to try now."""


class ForecastCells(Message):
    """Forecast the memory of every cell of the open engine. Answered by Forecasts."""

    do: Literal["forecast"] = "forecast"


class StopCell(Message):
    """Drain the running cell and report it as interrupted. Not answered by itself."""

    do: Literal["stop"] = "stop"


class DeviceDescription(Message):
    """The device that an engine runs on, as the header has it."""

    device: str
    device_name: str
    backend: str
    backend_version: str


class TensorDescription(Message):
    """An input or an output of a network."""

    name: str
    item_shape: tuple[int, ...]
    dtype: str


class EngineDescription(Message):
    """An engine, as the header has it.

    Attributes:
        known_as: The built-in network that the file is taken for; None for one that we do not know.
        recognized: Whether the file has that network's architecture; None where it is taken for none.
        images: Names of the images that are used.
        images_found: How many images their folder has.
        subset_hash: Of the labelled items and their labels; None where no accuracy is asked for.
        extra: Whatever else the backend says of it.
    """

    model: str
    known_as: str | None
    recognized: bool | None
    precision: Precision
    graph_precision: str | None
    engine_hash: str
    model_hash: str | None
    load_ns: int
    inputs: tuple[TensorDescription, ...]
    outputs: tuple[TensorDescription, ...]
    images: tuple[str, ...]
    images_found: int
    subset_hash: str | None
    extra: dict[str, Fact]


class EngineOpened(Message):
    """An engine is ready: what goes into the header about it."""

    event: Literal["opened"] = "opened"
    device: DeviceDescription
    engine: EngineDescription
    versions: dict[str, str]
    runner_cost_ns: dict[str, float | None]


class NetworkInspected(Message):
    """Facts that the file of a network tells.

    Attributes:
        fixed_batch: The only batch that it can run; None where the batch is free.
        fixed_by: Where the inputs do not show that: what does.
        no_images: Why it cannot be fed with images; None where it can.
    """

    event: Literal["inspected"] = "inspected"
    fixed_batch: int | None
    fixed_by: str | None
    no_images: str | None


class Refused(Message):
    """Refusal of a request that cannot be met. The process is as it was before."""

    event: Literal["refused"] = "refused"
    error: str
    message: str
    remedy: str
    facts: dict[str, Fact] = Field(default_factory=dict)


class CellForecast(Message):
    """Memory that one cell would take.

    Attributes:
        lanes: How many of its lanes would fit; 0 if it would not run.
        device_bytes: Of all its lanes, whether they fit or not.
    """

    cell: Cell
    lanes: int
    device_bytes: int
    host_bytes: int


class Forecasts(Message):
    """Memory that the cells of an engine would take, and what there is for them.

    Attributes:
        engine_device_bytes: What the engine holds already.
        available_device_bytes: For lanes; None where there is no device memory.
    """

    event: Literal["forecasts"] = "forecasts"
    cells: list[CellForecast]
    engine_device_bytes: int
    available_device_bytes: int | None
    available_host_bytes: int | None


class EngineNotice(Message):
    """A line for people while an engine is being opened, such as how far a build is.

    Attributes:
        lasting: It holds for as long as the engine is open: it is reported once, and stays on the screen.
    """

    event: Literal["notice"] = "notice"
    text: str
    lasting: bool = False


class CellProgress(Message):
    """Progress of a cell."""

    event: Literal["progress"] = "progress"
    index: int
    phase: str
    n: int
    elapsed_ns: int
    lanes: int


class CellEnded(Message):
    """Record of a cell that has ended.

    Attributes:
        unfit: The process cannot go on (a lane hangs, the device is lost): replace it.
    """

    event: Literal["cell"] = "cell"
    record: CellRecord
    unfit: bool = False


Request: TypeAlias = InspectNetwork | OpenEngine | RunCell | ForecastCells | StopCell
Progress: TypeAlias = CellProgress | EngineNotice
"""Said on the way to an answer."""
Answer: TypeAlias = NetworkInspected | EngineOpened | Forecasts | CellEnded | Refused
Event: TypeAlias = Progress | Answer
AnswerT = TypeVar("AnswerT", NetworkInspected, EngineOpened, Forecasts, CellEnded)
"""An answer that is no refusal."""

REQUESTS: TypeAdapter[Request] = TypeAdapter(Annotated[Request, Field(discriminator="do")])
EVENTS: TypeAdapter[Event] = TypeAdapter(Annotated[Event, Field(discriminator="event")])

_ERRORS: dict[str, type[AsyncbenchError]] = {
    name: kind for name, kind in vars(errors).items() if isinstance(kind, type) and issubclass(kind, AsyncbenchError)
}


def refusal_of(error: AsyncbenchError) -> Refused:
    """Return the message that carries `error` to the other side."""
    return Refused(error=type(error).__name__, message=error.message, remedy=error.remedy, facts=error.facts)


def error_of(refusal: Refused) -> AsyncbenchError:
    """Return the error that a refusal carries; one of an unknown class becomes the base class."""
    kind = _ERRORS.get(refusal.error, AsyncbenchError)
    return kind(refusal.message, remedy=refusal.remedy, **refusal.facts)


def to_line(message: Request | Event) -> bytes:
    """Return `message` as one JSON line."""
    return message.model_dump_json().encode() + b"\n"
