"""The cells of a run, numbered, and grouped by the engine that they share."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from asyncbench.sweep.cell import Cell, Precision
from asyncbench.sweep.config import SweepConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineGroup:
    """Cells that one engine serves, in the order they run.

    Attributes:
        number: Its position among the groups of the run, from 0.
        cells: Index in the results file, and the cell.
        flags: The keys of `config` that the command line gave; of a section as `tensorrt.depth`.
    """

    number: int
    config: SweepConfig
    device: str
    precision: Precision
    cells: tuple[tuple[int, Cell], ...]
    flags: frozenset[str] = frozenset()

    def without(self, done: set[int]) -> EngineGroup:
        """Return the group with the cells left that are not done."""
        left = tuple((index, cell) for index, cell in self.cells if index not in done)
        return replace(self, cells=left)


def engine_groups(configs: Sequence[SweepConfig], *, flags: Collection[str] = ()) -> tuple[EngineGroup, ...]:
    """Return all groups, device by device, then sweep by sweep, then precision by precision. Indices start at 0.

    Args:
        flags: The keys that the command line gave.
    """
    devices = list(dict.fromkeys(device for config in configs for device in config.device))
    groups: list[EngineGroup] = []
    index = 0
    for device in devices:
        for config in configs:
            if device not in config.device:
                continue
            for precision, cells in groupby(config.cells(device), key=lambda cell: cell.precision):
                numbered = tuple(enumerate(cells, start=index))
                index += len(numbered)
                groups.append(
                    EngineGroup(
                        number=len(groups),
                        config=config,
                        device=device,
                        precision=precision,
                        cells=numbered,
                        flags=frozenset(flags),
                    )
                )
    return tuple(groups)
