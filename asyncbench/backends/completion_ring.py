"""Stamps of inferences that have ended, from whoever stamps them to the task that takes them."""

from __future__ import annotations

import numpy as np

from asyncbench.measurement.stamps import Completions, InferenceStamps


class CompletionRing:
    """A ring of stamps that one thread fills and one task empties; neither waits for the other.

    It needs no lock: only the pusher writes `pushed`, after the slot is whole, and only the taker writes `taken`. It
    cannot overflow while the lane keeps granted minus taken at or below `capacity`, which is what a lane's
    `max_credits` is for.

    Args:
        capacity: Completions that may wait to be taken.
    """

    __slots__ = ("_capacity", "_completed_at_ns", "_issued_at_ns", "pushed", "taken")

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._issued_at_ns = np.zeros(capacity, dtype=np.int64)
        self._completed_at_ns = np.zeros(capacity, dtype=np.int64)
        self.pushed = 0
        self.taken = 0

    def __len__(self) -> int:
        """Return how many completions wait to be taken."""
        return self.pushed - self.taken

    def push(self, issued_at_ns: int, completed_at_ns: int) -> None:
        """Add one inference. Called by the stamping thread only."""
        slot = self.pushed % self._capacity
        self._issued_at_ns[slot] = issued_at_ns
        self._completed_at_ns[slot] = completed_at_ns
        self.pushed += 1

    def take(self) -> Completions:
        """Return and forget all that waits, as copies: the slots may be written again at once."""
        first, last = self.taken, self.pushed
        slots = np.arange(first, last) % self._capacity
        self.taken = last
        return Completions(issued_at_ns=self._issued_at_ns[slots], completed_at_ns=self._completed_at_ns[slots])

    def take_one(self) -> InferenceStamps:
        """Return and forget the oldest completion; there must be one."""
        slot = self.taken % self._capacity
        self.taken += 1
        return InferenceStamps(
            issued_at_ns=int(self._issued_at_ns[slot]), completed_at_ns=int(self._completed_at_ns[slot])
        )
