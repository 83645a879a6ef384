"""The longest time in which nothing completed, over all lanes of a window."""

from __future__ import annotations

import numpy as np

from asyncbench.clock import NS_PER_MS
from asyncbench.measurement.stamps import Int64Array

_SLICES = 4096
_FIRST_SLICE_NS = NS_PER_MS
_NOTHING = np.iinfo(np.int64).max


class GapMeter:
    """First and last completion in at most 4,096 equal slices of time. Constant memory; sync.

    Lanes hand in their completions one after the other, so that a gap shows only once all of them have. When a
    completion comes after the last slice, neighbours are merged and all slices become twice as long.
    """

    def __init__(self) -> None:
        self._first: Int64Array = np.full(_SLICES, _NOTHING, dtype=np.int64)
        self._last: Int64Array = np.full(_SLICES, -1, dtype=np.int64)
        self._slice_ns = _FIRST_SLICE_NS
        self._opened_at_ns = 0

    def open(self, opened_at_ns: int) -> None:
        """Start the first slice."""
        self._opened_at_ns = opened_at_ns

    def record(self, completed_at_ns: Int64Array) -> None:
        """Add the completions of one lane, `(n,)` int64, n > 0, ascending, none before the opening."""
        offsets = completed_at_ns - self._opened_at_ns
        while int(offsets[-1]) >= self._slice_ns * _SLICES:
            self._merge()
        slices = offsets // self._slice_ns
        ends = np.append(np.flatnonzero(np.diff(slices)), len(slices) - 1)
        starts = np.append(0, ends[:-1] + 1)
        np.minimum.at(self._first, slices[starts], offsets[starts])
        np.maximum.at(self._last, slices[ends], offsets[ends])

    def _merge(self) -> None:
        half = _SLICES // 2
        self._first[:half] = np.minimum(self._first[::2], self._first[1::2])
        self._last[:half] = np.maximum(self._last[::2], self._last[1::2])
        self._first[half:], self._last[half:] = _NOTHING, -1
        self._slice_ns *= 2

    def longest_ns(self) -> int:
        """Return the longest gap, the one after the opening included: exact where it is longer than a slice.

        A slice is at most 1 ms, or 1/2,048 of the window. Shorter gaps may hide in one: then it is a lower bound.
        """
        used = np.flatnonzero(self._last >= 0)
        before = np.append(0, self._last[used][:-1])
        return int((self._first[used] - before).max()) if len(used) else 0
