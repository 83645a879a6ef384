"""Drift of the service time over a window."""

from __future__ import annotations

import numpy as np
from scipy.special import stdtr

from asyncbench.clock import NS_PER_MS
from asyncbench.measurement.stamps import Int64Array

_SLICES = 32
_FIRST_SLICE_NS = NS_PER_MS
_SIGNIFICANCE = 0.01
_MIN_SLICES = 2


class DriftMeter:
    """Mean service time in at most 32 equal slices of time. Constant memory; sync.

    When a completion comes after the last slice, neighbours are merged and all slices become twice as long.

    Attributes:
        slice_ns: Time that a slice takes.
        counts: Inferences of each slice.
        sums_ns: Their service times, added up.
    """

    def __init__(self) -> None:
        self.counts: Int64Array = np.zeros(_SLICES, dtype=np.int64)
        self.sums_ns: Int64Array = np.zeros(_SLICES, dtype=np.int64)
        self.slice_ns = _FIRST_SLICE_NS
        self._opened_at_ns: int | None = None

    def open(self, opened_at_ns: int) -> None:
        """Start the first slice."""
        self._opened_at_ns = opened_at_ns

    def record(self, completed_at_ns: Int64Array, service_ns: Int64Array) -> None:
        """Add inferences, both `(n,)` int64, in the order of completion; those up to the opening are ignored."""
        if self._opened_at_ns is None:
            return
        first = int(np.searchsorted(completed_at_ns, self._opened_at_ns, side="right"))
        if first == len(completed_at_ns):
            return
        offsets = completed_at_ns[first:] - self._opened_at_ns
        while int(offsets[-1]) >= self.slice_ns * _SLICES:
            self._merge()
        slices = offsets // self.slice_ns
        np.add.at(self.counts, slices, 1)
        np.add.at(self.sums_ns, slices, service_ns[first:])

    def _merge(self) -> None:
        for values in (self.counts, self.sums_ns):
            values[: _SLICES // 2] = values[::2] + values[1::2]
            values[_SLICES // 2 :] = 0
        self.slice_ns *= 2

    def drift_ratio(self) -> float | None:
        """Return by how much service times rose (> 0) or fell from the first third of the slices to the last.

        None where that cannot be told from chance: fewer than two slices of a third hold anything, or Welch's t-test
        between the thirds does not reject equal means at 1 %. Its samples are the slices and not the inferences, so
        that neighbours which resemble each other do not pass for independent evidence.

        Sources: Welch, Biometrika 34 (1947); ratio estimator of a mean over unequal clusters: Cochran, "Sampling
        Techniques", 3rd ed. (1977), ch. 6.
        """
        used = int(np.flatnonzero(self.counts)[-1]) + 1 if self.counts.any() else 0
        third = used // 3
        first, last = slice(0, third), slice(used - third, used)
        if min(np.count_nonzero(self.counts[each]) for each in (first, last)) < _MIN_SLICES:
            return None
        (mean, variance, freedom), (last_mean, last_variance, last_freedom) = self._part(first), self._part(last)
        chance = _chance_of(last_mean - mean, (variance, last_variance), (freedom, last_freedom))
        return (last_mean - mean) / max(mean, 1.0) if chance < _SIGNIFICANCE else None

    def _part(self, part: slice) -> tuple[float, float, int]:
        """Return the mean of some slices, the variance of that mean, and its degrees of freedom."""
        filled = self.counts[part] > 0
        counts, sums_ns = self.counts[part][filled], self.sums_ns[part][filled]
        mean = float(sums_ns.sum() / counts.sum())
        freedom = len(counts) - 1
        residuals = sums_ns - counts * mean
        return mean, float((residuals**2).sum() / counts.sum() ** 2 * (freedom + 1) / freedom), freedom


def _chance_of(difference: float, variances: tuple[float, float], freedoms: tuple[int, int]) -> float:
    """Return how likely a difference of that size is between equal means (Welch, two-sided)."""
    variance = sum(variances)
    if variance == 0:
        return float(difference == 0)
    freedom = variance**2 / sum(each**2 / freedom for each, freedom in zip(variances, freedoms, strict=True))
    return float(2 * stdtr(freedom, -abs(difference) / variance**0.5))
