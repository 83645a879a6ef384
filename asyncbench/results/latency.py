"""Latencies of a cell: minimum, mean, maximum, percentiles with their intervals, and those that are missing."""

from __future__ import annotations

from pydantic import NonNegativeFloat, NonNegativeInt, PositiveInt

from asyncbench.results.fields import RecordModel


class PercentileValue(RecordModel):
    """One percentile and its distribution-free 95 % interval."""

    value_ns: NonNegativeInt
    low_ns: NonNegativeInt
    high_ns: NonNegativeInt

    @property
    def half_width_ratio(self) -> float:
        """Half of the interval, relative to the value."""
        return (self.high_ns - self.low_ns) / 2 / max(self.value_ns, 1)


class MissingValue(RecordModel):
    """A percentile that the sample is too small for."""

    needs_more: PositiveInt
    """Inferences that were lacking."""


class LatencyBlock(RecordModel):
    """One kind of latency over the window of a cell. Each percentile is in `percentiles` or in `missing`."""

    n: NonNegativeInt
    min_ns: NonNegativeInt
    mean_ns: NonNegativeFloat
    max_ns: NonNegativeInt
    percentiles: dict[str, PercentileValue]
    """By name, such as `p99` or `p99.9`, ascending."""
    missing: dict[str, MissingValue]
    """By name, such as `p99.9`, ascending."""


class Latency(RecordModel):
    """The latencies of a cell, null where they were not measured."""

    service: LatencyBlock | None = None
    """From the issue of an inference to its completion."""
    service_undisturbed: LatencyBlock | None = None
    """Of those that were recorded while all lanes of the cell ran, where memory pressure took some away for a time."""
    enqueue: LatencyBlock | None = None
    """Host time inside the launch calls."""
    gpu: LatencyBlock | None = None
    """Device time, by event pairs."""
    wait: LatencyBlock | None = None
    """From wanting to start an inference to its issue, where workers take turns on fewer lanes."""
    response: LatencyBlock | None = None
    """From wanting to start an inference to its completion: wait plus service."""


def percentile_name(ratio: float) -> str:
    """Return `p50` for 0.5, `p99.9` for 0.999."""
    return f"p{ratio * 100:.10g}"
