"""Steady-state detection for warm-up."""

from __future__ import annotations

from collections import deque

import numpy as np

from asyncbench.clock import NS_PER_MS
from asyncbench.measurement.histogram import Histogram
from asyncbench.measurement.stamps import Int64Array

_BLOCKS = 3
_MIN_BLOCK_COUNT = 3
_MIN_BLOCK_NS = 20 * NS_PER_MS


class SteadyDetector:
    """Comparison of the medians of the last three blocks of consecutive inferences. Constant memory; sync.

    A block ends with the inference that gives it both `max(3, concurrency)` inferences and 20 ms of work for each of
    `concurrency` lanes. The loop is steady while the largest of the three medians exceeds the smallest by at most
    `agreement_ratio`.

    Limits: a drift slower than `agreement_ratio` in two blocks looks steady here (DriftMeter sees it in the window),
    and medians of three inferences that scatter by much more than `agreement_ratio` may never agree.

    Args:
        concurrency: Inferences that are in flight at once, > 0.
        agreement_ratio: How far the medians may lie apart.

    Attributes:
        medians_ns: Of the last three blocks at most, the latest last.
    """

    def __init__(self, concurrency: int, *, agreement_ratio: float = 0.05) -> None:
        self._block = Histogram()
        self.medians_ns: deque[float] = deque(maxlen=_BLOCKS)
        self._agreement_ratio = agreement_ratio
        self._block_count = max(_MIN_BLOCK_COUNT, concurrency)
        self._block_ns = _MIN_BLOCK_NS * concurrency

    @property
    def is_steady(self) -> bool:
        """True while the last three blocks agree."""
        if len(self.medians_ns) < _BLOCKS:
            return False
        return max(self.medians_ns) <= min(self.medians_ns) * (1 + self._agreement_ratio)

    def record(self, service_ns: Int64Array) -> None:
        """Look at service times, `(n,)` int64, in the order of their completion.

        Raises:
            ValueError: One is negative: the stamps are wrong.
        """
        while len(service_ns):
            taken = self._missing_of_block(service_ns)
            self._block.record(service_ns[:taken])
            service_ns = service_ns[taken:]
            if self._block.count >= self._block_count and self._block.total_ns >= self._block_ns:
                self._end_block()

    def _missing_of_block(self, service_ns: Int64Array) -> int:
        """Return how many of these the present block still takes, at least 1."""
        by_count = self._block_count - self._block.count
        by_time = 1 + int(np.searchsorted(np.cumsum(service_ns), self._block_ns - self._block.total_ns))
        return max(1, by_count, by_time)

    def _end_block(self) -> None:
        self.medians_ns.append(self._block.position_at_rank((self._block.count + 1) / 2))
        self._block.reset()
