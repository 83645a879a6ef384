"""The configuration of a sweep: one frozen value, whether it came from a file, from flags or from defaults."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from inspect import isclass
from itertools import product
from pathlib import PurePath
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    JsonValue,
    SerializationInfo,
    SerializerFunctionWrapHandler,
    ValidationError,
    WithJsonSchema,
    create_model,
    model_serializer,
    model_validator,
)

from asyncbench.errors import BadInputError
from asyncbench.sweep.backends.descriptor import BackendDescriptor, BackendOptions
from asyncbench.sweep.backends.onnxruntime import OnnxRuntimeOptions
from asyncbench.sweep.backends.registry import (
    AUTO_BACKEND,
    AUTOMATIC,
    BUILT_IN,
    added_names,
    find_backend,
    need_backend,
    unknown_backend,
)
from asyncbench.sweep.backends.simulated import SimulatedOptions
from asyncbench.sweep.backends.tensorrt import TensorRtOptions
from asyncbench.sweep.cell import Cell, Driver, InputKind, Precision
from asyncbench.sweep.fields import (
    Axis,
    DurationText,
    Flag,
    LatencyLimitText,
    Location,
    Name,
    Names,
    Precisions,
    RatioText,
    SizeOrNothingText,
    SizeText,
    WarmupText,
    validator,
)
from asyncbench.sweep.json_text import LARGEST_NUMBER
from asyncbench.sweep.load import CLOSED, LoadConfig
from asyncbench.sweep.problems import Path, as_custom_error, bad_input, quoted_key
from asyncbench.text_enum import TextEnum

MAX_CELLS = 100_000


def _known_backend(name: str) -> str:
    if name != AUTO_BACKEND and find_backend(name) is None:
        raise unknown_backend(name)
    return name


BackendName = Annotated[
    str, AfterValidator(validator(_known_backend)), WithJsonSchema({"enum": [AUTO_BACKEND, *BUILT_IN]})
]


class Mode(TextEnum):
    """Purpose of a sweep, for all of its cells."""

    THROUGHPUT = "throughput"
    LATENCY = "latency"
    ACCURACY = "accuracy"


class OnPressure(TextEnum):
    """Treatment of a cell whose lanes do not all fit into memory."""

    BACKPRESSURE = "backpressure"
    SKIP = "skip"
    FAIL = "fail"


class StopConfig(BaseModel):
    """Stop rule: how exact the figures of a cell must be, and how long that may take at least and at most."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    median: RatioText = Field(
        default="1%", validate_default=True, description="Half width of the 95 % interval of the median, at most."
    )
    p99: RatioText = Field(
        default="5%", validate_default=True, description="Half width of the 95 % interval of the p99, at most."
    )
    min: DurationText = Field(
        default="0.5s", validate_default=True, description="A cell is measured for at least this long."
    )
    max: DurationText = Field(
        default="5s", validate_default=True, description="A cell still not exact after this is recorded as imprecise."
    )

    @property
    def median_ratio(self) -> float:
        """Half width of the median's interval, relative to the median."""
        return self.median.ratio

    @property
    def p99_ratio(self) -> float:
        """Half width of the p99's interval, relative to the p99."""
        return self.p99.ratio

    @property
    def min_window_ns(self) -> int:
        """The shortest window."""
        return self.min.ns

    @property
    def max_window_ns(self) -> int:
        """The longest window."""
        return self.max.ns

    @model_validator(mode="after")
    def _check_order(self) -> StopConfig:
        if self.min_window_ns > self.max_window_ns:
            problem = f"the shortest window, {self.min}, is longer than the longest, {self.max}"
            raise as_custom_error(BadInputError(problem, remedy="raise max or lower min"))
        return self


class SweepConfig(BaseModel):
    """One sweep: what to run, on what, at which points, for how long. Every key has a default."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    model: Name = Field(default="mobilenet", description="The network, by name; `asyncbench models` lists them.")
    model_file: Annotated[Location | None, Flag(("--model",))] = Field(
        default=None, description="An ONNX file: any network, or other weights for MODEL."
    )
    concurrency: Annotated[Axis, Flag()] = Field(
        default="1..8",
        validate_default=True,
        description="Inferences in flight: 4 or 1,2,4 or 1..8 or 1..64:x2 or 1..32:+4.",
    )
    batch: Annotated[Axis, Flag()] = Field(
        default="1..16", validate_default=True, description="Items of one inference, written like the concurrency."
    )
    precision: Annotated[Precisions, Flag()] = Field(
        default="fp32",
        validate_default=True,
        description="Arithmetic of the engine: fp32, fp16, bf16, int8, fp8; several with commas.",
    )
    backend: Annotated[BackendName, Flag()] = Field(
        default=AUTO_BACKEND, description="The runtime: auto, onnxruntime, tensorrt or simulated."
    )
    device: Annotated[Names, Flag()] = Field(
        default="auto",
        validate_default=True,
        description="The devices: auto, cpu, cuda:0; several with commas, one by one.",
    )
    duration: Annotated[DurationText | None, Flag()] = Field(
        default=None, description="Measure each cell for this long, such as 10s, instead of by the stop rule."
    )
    iterations: Annotated[int | None, Flag()] = Field(
        default=None,
        ge=1,
        le=LARGEST_NUMBER,
        description="Measure exactly this many inferences per cell, over all lanes.",
    )
    warmup: Annotated[WarmupText, Flag()] = Field(
        default="auto",
        validate_default=True,
        description="Run before measuring: auto (until steady), none, or a time such as 2s.",
    )
    stop: StopConfig = Field(default=StopConfig(), description="The stop rule.")
    driver: Annotated[Driver, Flag()] = Field(
        default=Driver.PUMP,
        strict=False,
        description="pump: lanes start the next inference by themselves; await: Trio does, each time.",
    )
    load: Annotated[LoadConfig, Flag()] = Field(
        default=LoadConfig(kind=CLOSED),
        description="What starts an inference, and when: closed, or the name of a load that another package offers.",
    )
    input: Annotated[InputKind, Flag()] = Field(
        default=InputKind.IMAGES,
        strict=False,
        description="What the network is fed with: images, random or zeros.",
    )
    images: Annotated[Location | None, Flag()] = Field(
        default=None, description="A folder of images in place of the packaged ones."
    )
    seed: Annotated[int, Flag()] = Field(
        default=0,
        ge=0,
        le=LARGEST_NUMBER,
        description="Seed of the weights, of random input and of every random choice.",
    )
    onnxruntime: OnnxRuntimeOptions = Field(default=OnnxRuntimeOptions(), description="Options of ONNX Runtime.")
    tensorrt: TensorRtOptions = Field(default=TensorRtOptions(), description="Options of TensorRT.")
    simulated: SimulatedOptions = Field(default=SimulatedOptions(), description="Options of the simulated device.")
    mode: Annotated[Mode, Flag()] = Field(
        default=Mode.THROUGHPUT,
        strict=False,
        description="throughput, latency (batch 1, one in flight) or accuracy (no speed).",
    )
    dataset: Annotated[Location | None, Flag(("--accuracy", "--dataset"))] = Field(
        default=None,
        description="A labelled data set: also measure each batch's accuracy, at the highest concurrency.",
    )
    truth: Annotated[Location | None, Flag()] = Field(
        default=None, description="The labels, where they are not in the data set's folder."
    )
    subset: Annotated[Name | None, Flag()] = Field(
        default=None,
        description="Part of the data set: 'first 5 per class', 'every 10th', @list.txt. By default all.",
    )
    calibration: Annotated[Location | None, Flag()] = Field(
        default=None, description="For int8: a table of `asyncbench calibrate`, or a cache of TensorRT."
    )
    allow_overlap: Annotated[bool, Flag()] = Field(
        default=False, description="Measure accuracy also on images that the calibration has seen."
    )
    memory_budget: Annotated[SizeText | None, Flag()] = Field(
        default=None,
        description="The most device memory that engine and lanes may take, beside the CUDA context, such as 8GiB.",
    )
    host_memory_budget: Annotated[SizeText | None, Flag()] = Field(
        default=None, description="The most host memory that the lanes of a cell may take."
    )
    memory_reserve: Annotated[SizeOrNothingText | None, Flag()] = Field(
        default=None,
        description="What stays free of each memory. By default 5 % of it, at most 512MiB.",
    )
    on_pressure: Annotated[OnPressure, Flag()] = Field(
        default=OnPressure.BACKPRESSURE,
        strict=False,
        description="Where lanes do not all fit: backpressure (share them), skip (the cell) or fail (end).",
    )
    latency_limit: Annotated[LatencyLimitText | None, Flag()] = Field(
        default=None, description="Also name the best cell below this latency: p95=20ms, or 20ms, which means p99."
    )
    cell_timeout: Annotated[DurationText, Flag()] = Field(
        default="60s",
        validate_default=True,
        description="A cell in which nothing completes for this long is recorded as an error.",
    )
    converted_from: dict[str, JsonValue] | None = Field(
        default=None, description="The foreign task that this sweep was converted from. Kept for the record only."
    )

    @classmethod
    def section_names(cls) -> tuple[str, ...]:
        """Return the keys that hold a backend's own options; each is the backend's name."""
        annotations = {name: field.annotation for name, field in cls.model_fields.items()}
        return tuple(name for name, kind in annotations.items() if isclass(kind) and issubclass(kind, BackendOptions))

    def options_of(self, backend: BackendDescriptor) -> BackendOptions:
        """Return the options of one backend, whether it is the one that runs or not."""
        section = getattr(self, backend.name, None)
        return section if isinstance(section, BackendOptions) else backend.options()

    def given_keys(self) -> frozenset[str]:
        """Return the keys that were given; those of a section as `tensorrt.depth`."""
        sections = {name: getattr(self, name) for name in self.section_names() if name in self.model_fields_set}
        inner = (f"{name}.{key}" for name, section in sections.items() for key in section.model_fields_set)
        return frozenset({*(self.model_fields_set - sections.keys()), *inner})

    def keys_without_effect(self, backend: str) -> tuple[tuple[str, str], ...]:
        """Return the keys that were changed and do nothing on `backend`: those of the other backends."""
        others = {name: getattr(self, name) for name in self.section_names() if name != backend}
        return tuple((name, key) for name, section in others.items() for key in section.changed_keys())

    @property
    def runs_simulated(self) -> bool:
        """True where the backend is named and opens no model."""
        return self.backend != AUTO_BACKEND and need_backend(self.backend).is_simulated

    @property
    def model_named(self) -> bool:
        """True where the network was named, so that a file given beside it holds that network's weights."""
        return self.model_file is None or "model" in self.model_fields_set

    @property
    def model_label(self) -> str:
        """The name that the records show: the network's, or the file's where only a file was given."""
        return self.model if self.model_named or self.model_file is None else PurePath(self.model_file).stem

    @property
    def duration_ns(self) -> int | None:
        """The fixed window of every cell; None leaves it to the stop rule or to `iterations`."""
        return None if self.duration is None else self.duration.ns

    @property
    def warmup_ns(self) -> int | None:
        """The fixed warm-up, 0 for none; None means until steady."""
        return self.warmup.ns

    @property
    def memory_budget_bytes(self) -> int | None:
        """The most device memory; None for as much as there is."""
        return None if self.memory_budget is None else self.memory_budget.bytes

    @property
    def host_memory_budget_bytes(self) -> int | None:
        """The most host memory of a cell's lanes; None for as much as there is."""
        return None if self.host_memory_budget is None else self.host_memory_budget.bytes

    @property
    def memory_reserve_bytes(self) -> int | None:
        """Memory that stays free; None for the default."""
        return None if self.memory_reserve is None else self.memory_reserve.bytes

    @property
    def cell_timeout_ns(self) -> int:
        """The time that the bench process may be silent."""
        return self.cell_timeout.ns

    @property
    def cell_count(self) -> int:
        """Cells of the whole sweep, all devices together."""
        return math.prod(len(axis) for axis in (self.device, self.precision, self.batch, self.concurrency))

    def cells(self, device: str) -> tuple[Cell, ...]:
        """Return the cells by precision, then batch, then concurrency, each in the order that was asked for.

        An engine is opened once per precision.
        """
        return tuple(
            Cell(model=self.model_label, precision=precision, batch=batch, concurrency=concurrency, device=device)
            for precision, batch, concurrency in product(self.precision, self.batch, self.concurrency)
        )

    @model_validator(mode="before")
    @classmethod
    def _one_at_a_time_for_latency(cls, values: object) -> object:
        if isinstance(values, dict) and values.get("mode") in ("latency", Mode.LATENCY):
            return {"batch": 1, "concurrency": 1} | values
        return values

    @model_validator(mode="before")
    @classmethod
    def _null_is_no_section(cls, values: object) -> object:
        # What headers held before, where the simulated backend had no settings.
        if isinstance(values, dict):
            sections = cls.section_names()
            return {key: value for key, value in values.items() if value is not None or key not in sections}
        return values

    @model_serializer(mode="wrap")
    def _without_misleading_defaults(
        self, serialize: SerializerFunctionWrapHandler, info: SerializationInfo
    ) -> dict[str, Any]:
        values: dict[str, Any] = serialize(self)
        unneeded = set() if info.exclude_unset else self._sections_without_meaning()
        if not self.model_named:
            # The default, written beside a file, would read as if the file held that network's weights.
            unneeded.add("model")
        return {key: value for key, value in values.items() if key not in unneeded}

    def _sections_without_meaning(self) -> set[str]:
        """Return the sections of backends that cannot run here, where they hold nothing but defaults."""
        possible = {one.name for one in AUTOMATIC} if self.backend == AUTO_BACKEND else {self.backend}
        others = (name for name in self.section_names() if name not in possible)
        return {name for name in others if getattr(self, name) == type(self).model_fields[name].default}

    @model_validator(mode="after")
    def _check_contradictions(self) -> SweepConfig:
        for problem in self._contradictions():
            raise as_custom_error(problem)
        return self

    def _contradictions(self) -> Iterator[BadInputError]:
        if self.duration is not None and self.iterations is not None:
            yield BadInputError("duration and iterations are both given", remedy="keep one of them")
        if self.images is not None and self.input is not InputKind.IMAGES:
            problem = f"images are given, but input is {self.input}"
            yield BadInputError(problem, remedy="set input to images, or give no images")
        for name in self.section_names():
            if name in self.model_fields_set and name != self.backend and need_backend(name).is_simulated:
                problem = f"settings of the {name} backend are given, but backend is {self.backend}"
                yield BadInputError(problem, remedy=f"set backend to {name}, or give no {name}")
        if self.mode is Mode.LATENCY and (self.batch, self.concurrency) != ((1,), (1,)):
            problem = "mode latency means batch 1 and concurrency 1, and others are given"
            yield BadInputError(problem, remedy="give no batch and concurrency, or set mode to throughput")
        if self.dataset is None and (self.truth is not None or self.subset is not None):
            yield BadInputError("truth or subset is given, but no dataset", remedy="name the dataset, or give neither")
        if self.calibration is not None and Precision.INT8 not in self.precision:
            yield BadInputError("a calibration is given, but precision has no int8", remedy="add int8 to precision")
        if self.cell_count > MAX_CELLS:
            problem = f"{self.cell_count:,} cells are more than {MAX_CELLS:,}"
            yield BadInputError(problem, remedy="use steps in concurrency and batch, such as 1..64:x2")


def check_config(
    values: Mapping[str, object], *, source: str, name_of: Callable[[Path], str] = quoted_key
) -> SweepConfig:
    """Return the configuration of plain values, as JSON or flags hold them.

    Args:
        source: Where they come from, such as the name of the file; it starts every message.
        name_of: How the reader knows a key.

    Raises:
        BadInputError: An unknown key, a wrong type or value, or keys that contradict each other.
    """
    model = _model_for(values)
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise bad_input(error, source=source, model=model, name_of=name_of) from error


def _model_for(values: Mapping[str, object]) -> type[SweepConfig]:
    """Return the configuration with a section for each backend of another package that the values name."""
    foreign = ({str(values.get("backend")), *values} - SweepConfig.model_fields.keys()).intersection(added_names())
    return config_with(tuple(sorted(foreign))) if foreign else SweepConfig


@cache
def config_with(added: tuple[str, ...]) -> type[SweepConfig]:
    """Return the configuration with sections for backends that other packages add.

    Raises:
        BadInputError: The entry point of one cannot be used.
    """
    return create_model("SweepConfig", __base__=SweepConfig, **{name: _section_of(name) for name in added})


def _section_of(name: str) -> Any:  # noqa: ANN401 # as create_model takes it: a type and its field
    backend = need_backend(name)
    if name in SweepConfig.model_fields:
        problem = f"backend {name}: that is the name of another key of the configuration"
        raise BadInputError(problem, remedy="rename it in the package that adds it")
    try:
        default = backend.options()
    except ValidationError as error:
        problem = f"backend {name}: {backend.options.__name__} has an option without a default"
        raise BadInputError(problem, remedy="give it one, in the package that adds it") from error
    return (backend.options, Field(default=default, description=f"Options of {name}."))
