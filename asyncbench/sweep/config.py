"""The configuration of a sweep: one frozen value, whether it came from a file, from flags or from defaults."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from enum import Enum
from functools import cache
from inspect import isclass
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
from asyncbench.sweep.cell import Driver, InputKind, Precision
from asyncbench.sweep.fields import (
    Axis,
    DurationText,
    LatencyLimitText,
    Name,
    Names,
    Precisions,
    SizeOrNothingText,
    SizeText,
    WarmupText,
    parse_warmup_ns,
    validator,
)
from asyncbench.sweep.json_text import LARGEST_NUMBER
from asyncbench.sweep.latency_limit import LatencyLimit, parse_latency_limit
from asyncbench.sweep.problems import Path, as_custom_error, bad_input, quoted_key
from asyncbench.sweep.stop import StopConfig
from asyncbench.units import parse_duration_ns, parse_size_bytes

MAX_CELLS = 100_000


class Mode(str, Enum):
    """What is asked of each cell."""

    THROUGHPUT = "throughput"
    LATENCY = "latency"
    ACCURACY = "accuracy"

    def __str__(self) -> str:
        return self.value


class OnPressure(str, Enum):
    """What becomes of a cell whose lanes do not all fit into memory."""

    BACKPRESSURE = "backpressure"
    SKIP = "skip"
    FAIL = "fail"

    def __str__(self) -> str:
        return self.value


def _known_backend(name: str) -> str:
    if name != AUTO_BACKEND and find_backend(name) is None:
        raise unknown_backend(name)
    return name


BackendName = Annotated[
    str, AfterValidator(validator(_known_backend)), WithJsonSchema({"enum": [AUTO_BACKEND, *BUILT_IN]})
]


class SweepConfig(BaseModel):
    """One sweep: what to run, on what, at which points, for how long. Every key has a default."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    model: Name = Field(default="mobilenet", description="The network, by name; `asyncbench models` lists them.")
    model_file: Name | None = Field(
        default=None,
        description="An ONNX file: any network, or the weights of `model` where that is given. Relative to this file.",
    )
    mode: Mode = Field(
        default=Mode.THROUGHPUT,
        strict=False,
        description="throughput; latency: batch 1, one in flight; accuracy: the quality on `dataset`, and no speed.",
    )
    concurrency: Axis = Field(
        default="1..8", validate_default=True, description="Inferences in flight: a number, a list or an axis."
    )
    batch: Axis = Field(
        default="1..16", validate_default=True, description="Items of one inference: a number, a list or an axis."
    )
    precision: Precisions = Field(
        default="fp32", validate_default=True, description="The arithmetic an engine is compiled for: one or several."
    )
    backend: BackendName = Field(default=AUTO_BACKEND, description="The runtime.")
    device: Names = Field(default="auto", validate_default=True, description="The devices to measure: one or several.")
    duration: DurationText | None = Field(
        default=None, description="Measure every cell for this long instead of by the stop rule."
    )
    iterations: int | None = Field(
        default=None,
        ge=1,
        le=LARGEST_NUMBER,
        description="Measure this many inferences per cell, over all lanes, instead.",
    )
    warmup: WarmupText = Field(
        default="auto", description="How long to run before measuring: `auto` until steady, `none`, or a duration."
    )
    stop: StopConfig = Field(default=StopConfig(), description="The stop rule.")
    latency_limit: LatencyLimitText | None = Field(
        default=None,
        description="The summary also names the best cell below this: `p99=20ms`, or `20ms`, which means p99.",
    )
    cell_timeout: DurationText = Field(
        default="60s", description="A cell whose bench process is silent for this long is recorded as an error."
    )
    driver: Driver = Field(
        default=Driver.PUMP, strict=False, description="Who starts the next inference: the lane (pump) or Trio (await)."
    )
    input: InputKind = Field(default=InputKind.IMAGES, strict=False, description="What the network is fed with.")
    images: Name | None = Field(
        default=None, description="A folder of images to take in place of ours. Relative to this file."
    )
    seed: int = Field(
        default=0,
        ge=0,
        le=LARGEST_NUMBER,
        description="Seed of the weights, of random input and of every choice by lot.",
    )
    dataset: Name | None = Field(
        default=None,
        description="A labelled data set. Its accuracy is measured once for each batch, at the highest concurrency.",
    )
    truth: Name | None = Field(default=None, description="The labels of `dataset`, where they are not in its folder.")
    subset: Name | None = Field(
        default=None, description="Part of it: `first 5 per class`, `every 10th`, `@list.txt`. By default all."
    )
    calibration: Name | None = Field(
        default=None, description="For int8: a calibration table (JSON), or a calibration cache of TensorRT."
    )
    allow_overlap: bool = Field(
        default=False, description="Measure accuracy also on images that the calibration has seen."
    )
    memory_budget: SizeText | None = Field(
        default=None, description="The most device memory that engine and lanes may take, beside the CUDA context."
    )
    host_memory_budget: SizeText | None = Field(
        default=None, description="The most host memory that the lanes of a cell may take."
    )
    memory_reserve: SizeOrNothingText | None = Field(
        default=None,
        description="What stays free of each memory. By default 5 % of it, at most 512MiB.",
    )
    on_pressure: OnPressure = Field(
        default=OnPressure.BACKPRESSURE,
        strict=False,
        description="A cell whose lanes do not all fit: share lanes (backpressure), leave it out (skip), end (fail).",
    )
    onnxruntime: OnnxRuntimeOptions = Field(default=OnnxRuntimeOptions(), description="Options of ONNX Runtime.")
    tensorrt: TensorRtOptions = Field(default=TensorRtOptions(), description="Options of TensorRT.")
    simulated: SimulatedOptions = Field(default=SimulatedOptions(), description="Options of the simulated device.")
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
        """Whether the backend is named and opens no model."""
        return self.backend != AUTO_BACKEND and need_backend(self.backend).is_simulated

    @property
    def model_named(self) -> bool:
        """Whether the network was named, so that a file given beside it holds that network's weights."""
        return self.model_file is None or "model" in self.model_fields_set

    @property
    def model_label(self) -> str:
        """The name that the records show: the network's, or the file's where only a file was given."""
        return self.model if self.model_named or self.model_file is None else PurePath(self.model_file).stem

    @property
    def duration_ns(self) -> int | None:
        """The fixed window of every cell; None leaves it to the stop rule or to `iterations`."""
        return None if self.duration is None else parse_duration_ns(self.duration)

    @property
    def warmup_ns(self) -> int | None:
        """The fixed warm-up, 0 for none; None means until steady."""
        return parse_warmup_ns(self.warmup)

    @property
    def memory_budget_bytes(self) -> int | None:
        """The most device memory; None for as much as there is."""
        return None if self.memory_budget is None else parse_size_bytes(self.memory_budget)

    @property
    def host_memory_budget_bytes(self) -> int | None:
        """The most host memory of a cell's lanes; None for as much as there is."""
        return None if self.host_memory_budget is None else parse_size_bytes(self.host_memory_budget)

    @property
    def memory_reserve_bytes(self) -> int | None:
        """What stays free; None for the default."""
        return None if self.memory_reserve is None else parse_size_bytes(self.memory_reserve)

    @property
    def asked_latency(self) -> LatencyLimit | None:
        """The latency that the summary's best cell must stay below, and the percentile that must."""
        return None if self.latency_limit is None else parse_latency_limit(self.latency_limit)

    @property
    def cell_timeout_ns(self) -> int:
        """How long the bench process may be silent."""
        return parse_duration_ns(self.cell_timeout)

    @property
    def cell_count(self) -> int:
        """Cells of the whole sweep, all devices together."""
        return math.prod(len(axis) for axis in (self.device, self.precision, self.batch, self.concurrency))

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
