"""Blocks of a cell's record."""

from __future__ import annotations

from pydantic import Field, NonNegativeFloat, NonNegativeInt

from asyncbench.results.fields import RecordModel, ShortText, Text


class Reason(RecordModel):
    """Reason for the status of a cell, or a remark that a reader needs."""

    code: str
    """A word for programs, such as `drift`; docs/records.md lists them."""
    text: ShortText
    """One sentence for people, with numbers."""


class Warmup(RecordModel):
    """Warm-up: the inferences before the window opened."""

    n: NonNegativeInt
    """Inferences."""
    duration_ns: NonNegativeInt
    steady: bool
    """False where the limit of the warm-up ended it first."""


class Stalls(RecordModel):
    """Stretches of the window in which the bench process did not run: it was stopped, frozen, or got no processor."""

    n: NonNegativeInt
    total_ns: NonNegativeInt
    longest_ns: NonNegativeInt
    suspended_ns: NonNegativeInt = 0
    """For how long the machine was suspended meanwhile; that is no part of the window."""


class CpuThrottling(RecordModel):
    """Processor time that a CPU quota of the control group withheld in the window."""

    quota_cpus: NonNegativeFloat
    """Processors' worth of time that the group may use."""
    periods: NonNegativeInt
    """Periods of the quota in which the group wanted to run."""
    throttled_periods: NonNegativeInt
    """Those of them in which it was held back."""
    throttled_ns: NonNegativeInt
    """For how long, summed over processors: may be more than the window."""


class LaneChange(RecordModel):
    """Change of the lanes that run: some were taken away, or one was given back."""

    at_ns: int
    """From the opening of the window; negative before it."""
    lanes: NonNegativeInt
    """Lanes that ran from then on."""
    limited_by: str
    """The memory that was short, or has room again: `device`, `host` or `pool`."""
    free_bytes: NonNegativeInt
    """Free bytes of it, before the change."""

    def since(self, opened_at_ns: int) -> LaneChange:
        """Return a change whose time was the clock's with its time from the opening of the window."""
        return LaneChange(
            at_ns=self.at_ns - opened_at_ns, lanes=self.lanes, limited_by=self.limited_by, free_bytes=self.free_bytes
        )


class Memory(RecordModel):
    """Memory that the cell was expected to take, that it took, and that it was allowed. Null where unknown."""

    predicted_device_bytes: NonNegativeInt | None = None
    predicted_host_bytes: NonNegativeInt | None = None
    used_device_bytes: NonNegativeInt | None = None
    """Fall of the free device memory when the lanes were built."""
    used_host_bytes: NonNegativeInt | None = None
    """Largest rise of the resident size of the bench process."""
    device_error_bytes: int | None = None
    """Predicted minus used: positive where the prediction was too careful."""
    host_error_bytes: int | None = None
    """The same of the host."""
    host_peak_bytes: NonNegativeInt | None = None
    """Highest resident size of the bench process during the cell."""
    budget_bytes: NonNegativeInt | None = None
    """Device memory that the lanes of the cell were allowed."""
    host_budget_bytes: NonNegativeInt | None = None
    """Host memory that they were allowed."""
    resident_lanes: NonNegativeInt | None = None
    """Lanes that existed; below `concurrency` the workers took turns."""
    backpressure_ns: NonNegativeInt | None = None
    """Time during which the credits of at least one lane were withheld, because memory was short."""
    lane_changes: list[LaneChange] = Field(default_factory=list)
    """Changes of the lanes that ran: the first 63, and the last."""


class OutputsChecked(RecordModel):
    """Comparison of the lanes' outputs with a reference."""

    reference: Text
    """The reference, in words."""
    lanes: NonNegativeInt
    """Lanes whose outputs were compared."""
    max_abs_difference: NonNegativeFloat | None
    """Of the finite values; null where only shapes were compared."""
    labels_right: NonNegativeInt | None
    """Items of the reference whose top class is right; null where nothing is known of the labels."""
    labels_counted: NonNegativeInt | None
