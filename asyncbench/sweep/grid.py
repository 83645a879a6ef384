"""The grid: the cells of a sweep on one device, in the order in which they are measured."""

from __future__ import annotations

from itertools import product

from asyncbench.sweep.cell import Cell
from asyncbench.sweep.config import SweepConfig


def expand(config: SweepConfig, *, device: str) -> tuple[Cell, ...]:
    """Return the cells by precision, then batch, then concurrency, each in the order that was asked for.

    An engine is opened once per precision.
    """
    return tuple(
        Cell(model=config.model_label, precision=precision, batch=batch, concurrency=concurrency, device=device)
        for precision, batch, concurrency in product(config.precision, config.batch, config.concurrency)
    )
