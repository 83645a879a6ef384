"""The parts of a cell's record that have a shape of their own."""

from __future__ import annotations

from pydantic import NonNegativeFloat, NonNegativeInt

from asyncbench.results.fields import ShortText, Text, Written


class Reason(Written):
    """Why the status of a cell is what it is, or what else a reader must know."""

    code: str
    """A word for programs, such as `drift`; docs/records.md lists them."""
    text: ShortText
    """One sentence for people, with numbers."""


class Warmup(Written):
    """What ran before the window opened."""

    n: NonNegativeInt
    """Inferences."""
    duration_ns: NonNegativeInt
    steady: bool
    """False where the limit of the warm-up ended it first."""


class Memory(Written):
    """What the cell was expected to take, what it took, and what it was allowed. Null where unknown."""

    predicted_device_bytes: NonNegativeInt | None = None
    predicted_host_bytes: NonNegativeInt | None = None
    used_device_bytes: NonNegativeInt | None = None
    host_peak_bytes: NonNegativeInt | None = None
    """Highest resident size of the bench process during the cell."""
    budget_bytes: NonNegativeInt | None = None
    """Device memory that the cell was allowed."""
    resident_lanes: NonNegativeInt | None = None
    """Lanes that existed; below `concurrency` the workers took turns."""
    backpressure_ns: NonNegativeInt | None = None
    """Time in the window during which credits were withheld."""


class OutputsChecked(Written):
    """How the outputs of the lanes compare with a reference."""

    reference: Text
    """What they were compared with."""
    lanes: NonNegativeInt
    """Lanes whose outputs were compared."""
    max_abs_difference: NonNegativeFloat | None
    labels_right: NonNegativeInt | None
    labels_counted: NonNegativeInt | None
