"""Durations in constant memory, each within 0.1 % of what it was."""

from __future__ import annotations

from math import floor, sqrt

import numpy as np

from asyncbench.measurement.stamps import Int64Array

HIGHEST_NS = 3_600_000_000_000

# 2 x 10^3 rounded up to a power of two: neighbours at the coarse end of a bucket then differ by less than 1 in 10^3.
_SUB_BUCKET_BITS = 11
_HALF_BITS = _SUB_BUCKET_BITS - 1
# A chunk keeps the transient arrays in the cache: 16,384 values at once take five times as long each.
_CHUNK = 4096


class Histogram:
    """Counts of durations in ns, 1 ns to 1 h, to 3 significant digits. Not thread-safe.

    Bucket `b` counts values in steps of `2^b` ns; each bucket but the first has 1,024 steps, because its lower half is
    the bucket below. What is longer than `HIGHEST_NS` is counted as `HIGHEST_NS`, and in `clamped`. `min_ns`, `max_ns`,
    `mean_ns` and the total are exact, and 0 while nothing is counted.

    Source: Tene, HdrHistogram (hdrhistogram.org), the layout with 3 significant value digits and unit magnitude 0.
    """

    __slots__ = ("_clamped", "_count", "_counts", "_max_ns", "_min_ns", "_total_ns")

    def __init__(self) -> None:
        self._counts: Int64Array = np.zeros(_index_of(HIGHEST_NS) + 1, dtype=np.int64)
        self.reset()

    @property
    def size_bytes(self) -> int:
        """Bytes of the counters, whatever is counted; for scripts/statistics-report."""
        return self._counts.nbytes

    def reset(self) -> None:
        """Forget everything."""
        self._counts.fill(0)
        self._count = 0
        self._clamped = 0
        self._total_ns = 0
        self._min_ns = 0
        self._max_ns = 0

    def record(self, values_ns: Int64Array) -> None:
        """Count durations, `(n,)` int64, n may be 0.

        Raises:
            ValueError: One is negative: the stamps are wrong. None of them is counted.
        """
        if not len(values_ns):
            return
        lowest_ns, highest_ns = int(values_ns.min()), int(values_ns.max())
        if lowest_ns < 0:
            raise ValueError(f"a duration of {lowest_ns} ns cannot be")
        if highest_ns > HIGHEST_NS:
            self._clamped += int(np.count_nonzero(values_ns > HIGHEST_NS))
            values_ns = np.minimum(values_ns, HIGHEST_NS)
        self._widen(min(lowest_ns, HIGHEST_NS), min(highest_ns, HIGHEST_NS))
        for start in range(0, len(values_ns), _CHUNK):
            self._count_chunk(values_ns[start : start + _CHUNK])

    def _count_chunk(self, values_ns: Int64Array) -> None:
        bits = np.frexp(values_ns)[1].astype(np.int64)  # exact: all values are below 2^53
        buckets = np.maximum(bits - _SUB_BUCKET_BITS, 0)
        # Measured on batches of 16 to 65,536: never slower than bincount, which touches every counter.
        np.add.at(self._counts, (buckets << _HALF_BITS) + (values_ns >> buckets), 1)
        self._total_ns += int(values_ns.sum())
        self._count += len(values_ns)

    def _widen(self, lowest_ns: int, highest_ns: int) -> None:
        self._min_ns = min(self._min_ns, lowest_ns) if self._count else lowest_ns
        self._max_ns = max(self._max_ns, highest_ns)

    def add(self, other: Histogram) -> None:
        """Count all that `other` has counted."""
        if not other.count:
            return
        self._widen(other.min_ns, other.max_ns)
        self._counts += other._counts
        self._count += other.count
        self._clamped += other.clamped
        self._total_ns += other.total_ns

    @property
    def count(self) -> int:
        """Values counted."""
        return self._count

    @property
    def clamped(self) -> int:
        """Values that were longer than `HIGHEST_NS`."""
        return self._clamped

    @property
    def total_ns(self) -> int:
        """Their exact sum."""
        return self._total_ns

    @property
    def min_ns(self) -> int:
        """The shortest, exactly."""
        return self._min_ns

    @property
    def max_ns(self) -> int:
        """The longest, exactly."""
        return self._max_ns

    @property
    def mean_ns(self) -> float:
        """The exact sum divided by the count."""
        return self._total_ns / self._count if self._count else 0.0

    def position_at_rank(self, rank: float) -> float:
        """Return the duration at a rank between 1 and count, fractions between two ranks by linear interpolation.

        Inside its step a value is placed by its rank, the density being taken as linear between the neighbouring steps.
        Whatever it is in truth, the error is less than the step: 0.1 %.

        Raises:
            ValueError: There is no such rank.
        """
        whole = floor(rank)
        below = self._position(whole)
        return below if rank == whole else below + (rank - whole) * (self._position(whole + 1) - below)

    def _position(self, rank: int) -> float:
        index, before, inside = self._locate(rank)
        lowest_ns, highest_ns = _range_of(index)
        part = _part_of_step((rank - before - 0.5) / inside, self._slope(index))
        # The step is as wide as the integers in it, and begins half a nanosecond below the lowest of them.
        position_ns = lowest_ns - 0.5 + part * (highest_ns + 1 - lowest_ns)
        return min(max(position_ns, lowest_ns, self._min_ns), highest_ns, self._max_ns)

    def _slope(self, index: int) -> float:
        """Return by how much the density rises over a step that is not empty, relative to its mean, -2 to 2."""
        rise = (self._density(index + 1) - self._density(index - 1)) / 2 / self._density(index)
        return min(max(rise, -2.0), 2.0)

    def _density(self, index: int) -> float:
        if not 0 <= index < len(self._counts):
            return 0.0
        lowest_ns, highest_ns = _range_of(index)
        return float(self._counts[index]) / (highest_ns + 1 - lowest_ns)

    def _locate(self, rank: int) -> tuple[int, int, int]:
        """Return the counter that holds a rank, the count before it and the count in it."""
        if not 1 <= rank <= self._count:
            raise ValueError(f"rank {rank} of {self._count} values")
        first = _index_of(self._min_ns)
        cumulative = np.cumsum(self._counts[first : _index_of(self._max_ns) + 1])
        offset = int(np.searchsorted(cumulative, rank))
        inside = int(self._counts[first + offset])
        return first + offset, int(cumulative[offset]) - inside, inside


def equivalent_range(value_ns: int) -> tuple[int, int]:
    """Return the lowest and the highest duration that a histogram cannot tell from `value_ns`."""
    return _range_of(_index_of(value_ns))


def _index_of(value_ns: int) -> int:
    bucket = max(value_ns.bit_length() - _SUB_BUCKET_BITS, 0)
    return (bucket << _HALF_BITS) + (value_ns >> bucket)


def _range_of(index: int) -> tuple[int, int]:
    bucket = max((index >> _HALF_BITS) - 1, 0)
    lowest_ns = (index - (bucket << _HALF_BITS)) << bucket
    return lowest_ns, lowest_ns + (1 << bucket) - 1


def _part_of_step(share: float, slope: float) -> float:
    """Return the part of a step, 0 to 1, below which that share of its values lies, for a density 1 + slope (x - 1/2).

    Solves x + slope (x^2 - x) / 2 = share, in the form that also holds for slope 0.
    """
    start = 1 - slope / 2
    return 2 * share / (start + sqrt(max(start**2 + 2 * slope * share, 0.0)))
