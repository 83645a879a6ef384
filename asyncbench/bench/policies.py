"""Policies of a sweep, from its configuration: how its cells are measured, and what memory they may take."""

from __future__ import annotations

from asyncbench.bench.cell.cell_policy import CellPolicy
from asyncbench.bench.load.registry import choose_load
from asyncbench.bench.memory.admission_controller import MemoryPolicy
from asyncbench.measurement.stopping import StopRule
from asyncbench.sweep.config import OnPressure, SweepConfig


def policy_of(config: SweepConfig) -> CellPolicy:
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


def memory_policy_of(config: SweepConfig) -> MemoryPolicy:
    """Return what a sweep says of memory."""
    return MemoryPolicy(
        device_budget_bytes=config.memory_budget_bytes,
        host_budget_bytes=config.host_memory_budget_bytes,
        reserve_bytes=config.memory_reserve_bytes,
        share_lanes=config.on_pressure is OnPressure.BACKPRESSURE,
    )
