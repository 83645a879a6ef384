"""Policy of a cell: how it is to be measured."""

from __future__ import annotations

from dataclasses import dataclass

from asyncbench.bench.load.generator import ChosenLoad
from asyncbench.bench.load.registry import CLOSED_LOAD, choose_load
from asyncbench.measurement.stopping import StopRule
from asyncbench.sweep.cell import Driver, InputKind
from asyncbench.sweep.config import SweepConfig


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


def cell_policy_of(config: SweepConfig) -> CellPolicy:
    """Return how the cells of a sweep are to be measured. Blocking: see `choose_load`.

    Raises:
        BadInputError: There is no such load, or it does not take these options.
    """
    return CellPolicy(
        driver=config.driver,
        input_kind=config.input,
        rule=StopRule(
            median_ratio=config.stop.median_ratio,
            p99_ratio=config.stop.p99_ratio,
            min_window_ns=config.stop.min_window_ns,
            max_window_ns=config.stop.max_window_ns,
            duration_ns=config.duration_ns,
            iterations=config.iterations,
        ),
        warmup_ns=config.warmup_ns,
        stall_limit_ns=config.cell_timeout_ns,
        load=choose_load(config.load, seed=config.seed),
    )
