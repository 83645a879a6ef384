"""Results of a sweep as values: what a program does with a results file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

from pydantic import JsonValue

from asyncbench.errors import BackendUnavailableError, BadInputError
from asyncbench.results.record import BestCell, CellRecord, HeaderRecord, TrailerRecord
from asyncbench.results.summary import best_throughput, best_under_latency_limit, knee
from asyncbench.sweep.latency_limit import parse_latency_limit


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepResults:
    """Results of a sweep: all of them, or as far as it came.

    Attributes:
        header: None where the sweep ended before its first engine was open.
        cells: In the order of the grid; of a cell that was measured again, the last record.
        trailer: None where the sweep did not come to its end.
    """

    header: HeaderRecord | None
    cells: tuple[CellRecord, ...] = field(default=())
    trailer: TrailerRecord | None = None

    def best(self, *, latency_limit: str | None = None) -> BestCell | None:
        """Return the cell with the most items per second, below a latency limit if one is given; None where none is.

        Args:
            latency_limit: `p95=20ms`, or `20ms`, which means p99. The cell's whole 95 % interval must be below it.

        Raises:
            BadInputError: The limit is none, or the cells are of several networks, whose items are other items.
        """
        self._require_one_model()
        if latency_limit is None:
            return best_throughput(self.cells)
        if not isinstance(latency_limit, str):
            raise BadInputError(
                f"{latency_limit!r} is not a latency limit", remedy='write "p99=20ms", or "20ms" for p99'
            )
        return best_under_latency_limit(self.cells, parse_latency_limit(latency_limit))

    def knee(self) -> BestCell | None:
        """Return the cell with the fewest items in flight that reaches 95 % of the best throughput; None without one.

        Raises:
            BadInputError: The cells are of several networks, whose items are other items.
        """
        self._require_one_model()
        return knee(self.cells)

    def of_model(self, name: str) -> SweepResults:
        """Return the results of one network of several.

        Raises:
            BadInputError: No cell is of that network.
        """
        cells = tuple(cell for cell in self.cells if cell.model == name)
        if not cells:
            raise BadInputError(f"no cell is of {name!r}", remedy=f"name one of {', '.join(self._models()) or 'none'}")
        return SweepResults(header=self.header, cells=cells, trailer=self.trailer)

    def to_dicts(self) -> list[dict[str, JsonValue]]:
        """Return every cell as its line in a file holds it, in one level.

        The keys are paths in the record, such as `latency.service.percentiles.p99.value_ns`.
        """
        return [_flat(cell.model_dump(mode="json")) for cell in self.cells]

    def to_pandas(self) -> Any:  # noqa: ANN401 # pandas is not installed with us, and so are its types
        """Return a `pandas.DataFrame` of `to_dicts`, a row per cell.

        Raises:
            BackendUnavailableError: pandas is not installed.
        """
        try:
            pandas = import_module("pandas")
        except ImportError as error:
            raise BackendUnavailableError(
                "to_pandas needs pandas, which is not installed", remedy="install pandas, or use to_dicts()"
            ) from error
        return pandas.DataFrame(self.to_dicts())

    def _models(self) -> list[str]:
        return list(dict.fromkeys(cell.model for cell in self.cells))

    def _require_one_model(self) -> None:
        models = self._models()
        if len(models) > 1:
            names = ", ".join(models)
            raise BadInputError(f"the cells are of several networks ({names})", remedy="choose one with of_model(name)")


def _flat(values: Mapping[str, JsonValue], *, prefix: str = "") -> dict[str, JsonValue]:
    flat: dict[str, JsonValue] = {}
    for key, value in values.items():
        if isinstance(value, dict):
            flat |= _flat(value, prefix=f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat
