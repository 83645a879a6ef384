"""The `simulated` backend: a device with a programmable service time, memory and faults."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from asyncbench.sweep.backends.descriptor import BackendDescriptor, BackendOptions
from asyncbench.sweep.fields import DurationOrNothingText, SizeOrNothingText
from asyncbench.sweep.json_text import LARGEST_NUMBER
from asyncbench.text_enum import TextEnum

_Count = Annotated[int, Field(ge=0, le=LARGEST_NUMBER)]
_Number = Annotated[float, Field(ge=0, le=1e6, allow_inf_nan=False)]
_Share = Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)]


class Distribution(TextEnum):
    """Distribution of the service times of inferences of one batch."""

    CONSTANT = "constant"
    LOGNORMAL = "lognormal"
    EXPONENTIAL = "exponential"
    UNIFORM = "uniform"
    BIMODAL = "bimodal"


class FaultKind(TextEnum):
    """Kind of a fault: the lane, for ever on that lane, the process by a signal or by itself, the whole device."""

    ERROR = "error"
    HANG = "hang"
    KILL = "kill"
    EXIT = "exit"
    STICKY = "sticky"


class ServiceOptions(BaseModel):
    """Service time of an inference, once it has a slot."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    kind: Distribution = Field(default=Distribution.CONSTANT, strict=False, description="How it is spread.")
    median: DurationOrNothingText = Field(
        default="1ms", validate_default=True, description="Of batch 1. Of bimodal: of its fast mode."
    )
    per_item: DurationOrNothingText = Field(
        default="0ns", validate_default=True, description="What each further item of the batch adds to the median."
    )
    sigma: _Number = Field(default=0.25, description="Of lognormal: standard deviation of the logarithm.")
    spread: _Share = Field(default=0.5, description="Of uniform: how far below and above the median.")
    slow_ratio: _Share = Field(default=0.05, description="Of bimodal: the share of inferences that are slow.")
    slow_factor: _Number = Field(default=10.0, description="Of bimodal: how many medians a slow one takes.")


class FaultOptions(BaseModel):
    """One thing that goes wrong, in every cell that the filters let through."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    at: _Count = Field(description="Number of the inference since the lanes of the cell were opened, from 0.")
    kind: FaultKind = Field(strict=False, description="What goes wrong.")
    batch: Annotated[_Count, Field(ge=1)] | None = Field(default=None, description="Only in cells of this batch.")
    concurrency: Annotated[_Count, Field(ge=1)] | None = Field(
        default=None, description="Only in cells of so many lanes."
    )


class SimulatedOptions(BackendOptions):
    """Options of the simulated device."""

    service: ServiceOptions = Field(default=ServiceOptions(), description="What an inference takes.")
    slots: Annotated[_Count, Field(ge=1)] = Field(
        default=4, description="Inferences that really run at once; more of them wait in order of their issue."
    )
    memory: SizeOrNothingText = Field(default="8GiB", validate_default=True, description="The device's memory.")
    open_time: DurationOrNothingText = Field(
        default="0ns", validate_default=True, description="What opening an engine takes, like a build."
    )
    engine_bytes: SizeOrNothingText = Field(default="64MiB", validate_default=True, description="Memory of the engine.")
    lane_bytes: SizeOrNothingText = Field(default="16MiB", validate_default=True, description="Memory of every lane.")
    item_bytes: SizeOrNothingText = Field(
        default="4MiB", validate_default=True, description="Memory of every item of every lane's batch."
    )
    faults: tuple[FaultOptions, ...] = Field(default=(), strict=False, description="What goes wrong, and when.")
    wrong_outputs_from: _Count | None = Field(
        default=None, description="Number of the inference from which the outputs of one lane are wrong."
    )
    wrong_outputs_lane: _Count = Field(default=0, description="The index of that lane.")
    drift: _Number = Field(
        default=0.0, description="What each inference of a lane takes more than the last, as a share of the first."
    )
    warmup_factor: _Number = Field(default=1.0, description="How many times longer the first of each lane take.")
    warmup_inferences: _Count = Field(default=10, description="How many those are.")
    seed: _Count | None = Field(default=None, description="Of the service times. By default the sweep's.")


SIMULATED = BackendDescriptor(
    name="simulated",
    options=SimulatedOptions,
    factory="asyncbench.backends.simulated.backend:make_backend",
    is_simulated=True,
)
