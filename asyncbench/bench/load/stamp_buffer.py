"""Stamps of single inferences, gathered so that they are counted by the hundred and not one at a time."""

from __future__ import annotations

import numpy as np

from asyncbench.measurement.stamps import Completions, InferenceStamps


class StampBuffer:
    """A fixed number of stamps. Sync; one task writes, the same Trio run reads.

    Args:
        capacity: How many stamps it holds before it must be emptied.
    """

    def __init__(self, capacity: int) -> None:
        self._issued_at_ns = np.zeros(capacity, dtype=np.int64)
        self._completed_at_ns = np.zeros(capacity, dtype=np.int64)
        self._count = 0

    @property
    def full(self) -> bool:
        """Whether the next stamp has no place."""
        return self._count == len(self._issued_at_ns)

    def add(self, stamps: InferenceStamps) -> None:
        """Keep one inference."""
        self._issued_at_ns[self._count] = stamps.issued_at_ns
        self._completed_at_ns[self._count] = stamps.completed_at_ns
        self._count += 1

    def empty(self) -> Completions:
        """Return what is kept, valid until the next `add`, and start anew."""
        count, self._count = self._count, 0
        return Completions(
            issued_at_ns=self._issued_at_ns[:count],
            completed_at_ns=self._completed_at_ns[:count],
        )
