"""The grid: the cells of a sweep on one device, in the order in which they are measured."""

from __future__ import annotations

from itertools import product

from asyncbench.sweep.cell import Cell
from asyncbench.sweep.config import SweepConfig


def expand(config: SweepConfig, *, device: str) -> tuple[Cell, ...]:
    """Return the cells by precision as asked for, then batch, then concurrency ascending.

    An engine is opened once per precision, and the lanes of a batch only ever grow.
    """
    return tuple(
        Cell(model=config.model_label, precision=precision, batch=batch, concurrency=concurrency, device=device)
        for precision, batch, concurrency in product(config.precision, config.batch, config.concurrency)
    )
