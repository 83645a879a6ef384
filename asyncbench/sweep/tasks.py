"""Task lists of the predecessor, `[{"target", "workload", "params"}]`, to sweeps of one cell each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from asyncbench.sweep.config import SweepConfig, check_config
from asyncbench.sweep.problems import bad_input


class TaskParams(BaseModel):
    """Parameters of a task, with the ranges of the predecessor's TensorRT target and its defaults.

    Two defaults differ. Without `iterations` the stop rule decides, where the predecessor measured one single
    inference; and `hardware` is the only value that its TensorRT target takes, where it defaulted to one it refuses.
    """

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    mode: Literal["throughput", "latency", "accuracy"] = Field(
        default="throughput",
        description="`latency` means batch 1 and concurrency 1, whatever they say; `accuracy` knows no iterations.",
    )
    batch: int = Field(default=1, ge=1, le=256, description="Items of one inference.")
    concurrency: int = Field(default=1, ge=1, le=32, description="Inferences in flight.")
    iterations: int | None = Field(default=None, ge=1, description="Inferences to measure, over all lanes.")
    precision: Literal["fp32", "fp16", "int8"] = Field(default="fp32", description="The arithmetic of the engine.")
    hardware: Literal["gpu"] = Field(default="gpu", description="A label; the backend is chosen by the machine.")


class Task(BaseModel):
    """One task. Unknown keys beside these three are ignored, as the predecessor did; in `params` none are."""

    model_config = ConfigDict(strict=True, extra="ignore", frozen=True)

    target: Literal["tensorrt"] = Field(description="The predecessor's target; the only one that is understood.")
    workload: Literal["resnet50", "mobilenet", "ssdmobilenet"] = Field(description="The network.")
    params: TaskParams = Field(description="How to run it.")


def is_task(entry: Mapping[str, object]) -> bool:
    """Return whether an object of a configuration file is a task rather than a sweep."""
    return not entry.keys().isdisjoint(Task.model_fields)


def convert_task(entry: Mapping[str, object], *, source: str) -> SweepConfig:
    """Return the sweep that a task asks for. Its backend is `auto`, so that it runs on any machine.

    The task as it was written is in `converted_from`. A task has no place for a data set: one in mode accuracy loads
    without, and is refused when it is run if none was named beside it.

    Raises:
        BadInputError: The task cannot be used; `source` starts the message.
    """
    task = _check_task(entry, source=source)
    return check_config(_sweep_values(task) | {"converted_from": dict(entry)}, source=source)


def _check_task(entry: Mapping[str, object], *, source: str) -> Task:
    try:
        return Task.model_validate(entry)
    except ValidationError as error:
        raise bad_input(error, source=source, model=Task) from error


def _sweep_values(task: Task) -> dict[str, object]:
    params = task.params
    one_at_a_time = params.mode == "latency"
    values: dict[str, object] = {
        "model": task.workload,
        "mode": params.mode,
        "precision": params.precision,
        "batch": 1 if one_at_a_time else params.batch,
        "concurrency": 1 if one_at_a_time else params.concurrency,
    }
    # How often the data set is gone through is not a choice: the predecessor ignored iterations there, too.
    counts = params.iterations is not None and params.mode != "accuracy"
    return values | {"iterations": params.iterations} if counts else values
