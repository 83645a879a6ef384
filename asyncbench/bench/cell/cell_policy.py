"""Policy of a cell: how it is to be measured."""

from __future__ import annotations

from dataclasses import dataclass

from asyncbench.bench.load.generator import ChosenLoad
from asyncbench.bench.load.registry import CLOSED_LOAD
from asyncbench.measurement.stopping import StopRule
from asyncbench.sweep.cell import Driver, InputKind


@dataclass(frozen=True, slots=True, kw_only=True)
class CellPolicy:
    """Rules that hold for every cell of a sweep.

    Attributes:
        warmup_ns: Time of the warm-up; None for "until steady, at most `STEADY_LIMIT_NS`"; 0 for none.
        stall_limit_ns: A cell in which nothing completes for that long has failed.
    """

    driver: Driver
    input_kind: InputKind
    rule: StopRule
    warmup_ns: int | None
    stall_limit_ns: int
    load: ChosenLoad = CLOSED_LOAD
