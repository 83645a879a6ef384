"""Histogram of a tensor's absolute values in bounded memory, and the range that follows from it.

ONNX Runtime has calibrators too. They are not used: their entropy search has one candidate by default and takes half a
second a tensor where it has as many as here, it spends half of its levels on signs that a ReLU never has, their
histograms grow without a bound, and they print to stdout, which is for records.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from asyncbench.accuracy.calibration.table import Method, MethodName

# At least half of them are in use, because the histogram ends at the next power of two: no fewer than the 2048 of
# Migacz, "8-bit inference with TensorRT", GTC 2017.
BINS = 4096
LEVELS = 128  # of absolute values in int8
# Values below 2^-60 are counted as 0: the reciprocal of a bin's width stays within float32.
_MIN_EXPONENT = -60

Float64Array = npt.NDArray[np.float64]
Int64Array = npt.NDArray[np.int64]
_Floats = npt.NDArray[np.floating]


class MagnitudeHistogram:
    """Counts absolute values in `BINS` bins of equal width from 0 to a power of two above the largest.

    It grows by merging pairs of bins, which is exact: the counts do not depend on the order of the values, or on how
    they were divided into batches. 32 KiB, whatever comes.
    """

    def __init__(self) -> None:
        self._counts: Int64Array = np.zeros(BINS, dtype=np.int64)
        self._exponent = _MIN_EXPONENT
        self._amax = 0.0

    @property
    def counts(self) -> Int64Array:
        """`(BINS,)` int64, a copy."""
        copy: Int64Array = self._counts.copy()
        return copy

    @property
    def amax(self) -> float:
        """The largest absolute value."""
        return self._amax

    @property
    def width(self) -> float:
        """Of one bin."""
        return math.ldexp(1.0, self._exponent) / BINS

    def add(self, values: _Floats) -> None:
        """Count the values of an array of any shape.

        Raises:
            ValueError: There is a NaN or an infinity among them; nothing was counted.
        """
        magnitudes = np.abs(values, dtype=np.float32).ravel()
        largest = float(magnitudes.max(initial=0.0))
        if not math.isfinite(largest):
            raise ValueError("NaN or infinite values")
        self._amax = max(self._amax, largest)
        if largest > 0:
            self._grow(math.frexp(largest)[1])
        magnitudes *= np.float32(1.0 / self.width)
        self._counts += np.bincount(magnitudes.astype(np.int32), minlength=BINS)

    def _grow(self, exponent: int) -> None:
        while self._exponent < exponent:
            if not self._counts[1:].any():  # all zeros so far: no need to go through every power of two
                self._exponent = exponent
                return
            self._counts[: BINS // 2] = self._counts.reshape(-1, 2).sum(axis=1)
            self._counts[BINS // 2 :] = 0
            self._exponent += 1


def choose_amax(histogram: MagnitudeHistogram, method: Method) -> float:
    """Return the largest absolute value that int8 shall hold, never above the true one; what is beyond saturates.

    Raises:
        ValueError: The method is a percentile that is not given.
    """
    if method.name is MethodName.MIN_MAX:
        return histogram.amax
    if method.name is MethodName.PERCENTILE:
        if method.percentile is None:
            raise ValueError("a percentile that is not given")
        bins = percentile_bins(histogram.counts, percentile=method.percentile)
    else:
        bins = entropy_bins(histogram.counts)
    return min(bins * histogram.width, histogram.amax)


def percentile_bins(counts: Int64Array, *, percentile: float) -> int:
    """Return how many bins hold at least `percentile` percent of the values."""
    total = int(counts.sum())
    return int(np.searchsorted(counts.cumsum(), math.ceil(total * percentile / 100))) + 1


def entropy_bins(counts: Int64Array) -> int:
    """Return how many bins to keep so that what 128 levels make of them tells least of what was there.

    The Kullback-Leibler divergence from the values, those beyond the range counted in its last bin, to the same bins
    averaged over each level. Zeros are exact in any range, so that the bin that has them counts no more than its
    neighbour. Of equal divergences the widest range wins.

    Source: Migacz, "8-bit inference with TensorRT", GTC 2017; the first bin as in NVIDIA's pytorch-quantization.
    """
    bins = counts.astype(np.float64)
    bins[0] = bins[1]
    used = int(np.flatnonzero(bins)[-1]) + 1 if bins.any() else 0
    if used <= LEVELS:
        return used
    divergences = _divergences(bins[:used])
    return used - int(np.argmin(divergences[::-1]))


def _divergences(bins: Float64Array) -> Float64Array:
    """Return the divergence of keeping the first n bins for n from LEVELS to all of them.

    With S and N the sum and the number of used bins of a level, the sum over its bins of p log q is S log(S / N):
    running sums give every candidate in 128 steps instead of n.
    """
    kept = np.arange(LEVELS, len(bins) + 1)
    sums = _running(bins)
    edges = -(-np.arange(LEVELS + 1) * kept[:, None] // LEVELS)  # rounded up
    level_sums = np.diff(sums[edges], axis=1)
    level_used = np.diff(_running((bins > 0).astype(np.float64))[edges], axis=1)
    level_means = np.divide(level_sums, level_used, out=np.ones_like(level_sums), where=level_used > 0)
    total, inside, last = sums[-1], sums[kept], bins[kept - 1]
    beyond = total - inside
    own = _running(_x_log_x(bins))[kept] - _x_log_x(last) + _x_log_x(last + beyond)
    cross = (level_sums * np.log(level_means)).sum(axis=1) + beyond * np.log(level_means[:, -1])
    divergences: Float64Array = (own - cross) / total - np.log(total) + np.log(np.maximum(inside, 1.0))
    divergences[(last == 0) & (beyond > 0)] = np.inf  # p where there is no q
    return divergences


def _running(values: Float64Array) -> Float64Array:
    return np.concatenate([np.zeros(1), np.cumsum(values)])


def _x_log_x(values: Float64Array) -> Float64Array:
    return values * np.log(np.where(values > 0, values, 1.0))
