"""A cell: one point of the sweep."""

from __future__ import annotations

from dataclasses import dataclass

from asyncbench.text_enum import TextEnum

AUTO_DEVICE = "auto"
"""The device that a backend chooses; no name of one."""


class Precision(TextEnum):
    """The arithmetic an engine is compiled for."""

    FP32 = "fp32"
    FP16 = "fp16"
    BF16 = "bf16"
    INT8 = "int8"
    FP8 = "fp8"


class Driver(TextEnum):
    """Starter of the next inference of a lane: the lane itself while credits last, or Trio each time."""

    PUMP = "pump"
    AWAIT = "await"


class InputKind(TextEnum):
    """Kind of input of the network. It changes the time: zeros are faster than images."""

    IMAGES = "images"
    RANDOM = "random"
    ZEROS = "zeros"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """One point of the sweep. Two cells with equal fields are the same cell, whatever the order they run in.

    Attributes:
        model: Name of the model, as the records show it.
        batch: Items of one inference.
        concurrency: Inferences in flight that the load keeps up.
    """

    model: str
    precision: Precision
    batch: int
    concurrency: int
    device: str = "cpu"

    def __str__(self) -> str:
        where = "" if self.device == AUTO_DEVICE else f" on {self.device}"
        return f"{self.model} {self.precision} batch={self.batch} concurrency={self.concurrency}{where}"
