"""The first n completions over all lanes, in the order of time, out of what comes in lane by lane."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np

from asyncbench.measurement.stamps import Completions


@dataclass(frozen=True, slots=True)
class HeldCompletions:
    """Inferences of one lane, and whether they ran on fewer lanes than the cell has."""

    done: Completions
    disturbed: bool

    def split(self, count: int) -> tuple[HeldCompletions, HeldCompletions]:
        """Return the first `count` of them, and the others."""
        first, rest = self.done.part(slice(count)), self.done.part(slice(count, None))
        return HeldCompletions(first, self.disturbed), HeldCompletions(rest, self.disturbed)


class FirstCompletions:
    """The first `limit` completions: each is held back until it is certain to be among them.

    A lane may be looked at late: of what another one has completed meanwhile nobody knows whether it comes before the
    last one that counts. Constant memory but for what completes between two calls of `settle`, or while one inference
    lasts where that is longer; sync.

    Args:
        limit: Completions that count, > 0.
    """

    def __init__(self, limit: int) -> None:
        self.ran = 0
        self.held: list[HeldCompletions] = []
        self._limit = limit
        self._released = 0
        self._last_completed_at_ns: dict[int, int] = {}

    @property
    def full(self) -> bool:
        """True once there are as many as count, and perhaps more."""
        return self.ran >= self._limit

    @property
    def seen(self) -> int:
        """Number of those that have come in, of those that count."""
        return min(self.ran, self._limit)

    def record(self, done: Completions, source: int, *, disturbed: bool) -> None:
        """Take inferences of one lane or worker, in their order; they are copied."""
        if not len(done):
            return
        self.ran += len(done)
        self.held.append(HeldCompletions(done.copy(), disturbed))
        self._last_completed_at_ns[source] = int(done.completed_at_ns[-1])

    def settle(self, now_ns: int, *, busy: Collection[int]) -> list[HeldCompletions]:
        """Return what counts for certain and was not returned before.

        Args:
            now_ns: An instant before the sources were looked at.
            busy: Sources with an inference in flight: what they complete next comes after their last completion.
        """
        if self.full:
            return []  # which of them count is known when all lanes have drained
        known_until_ns = min([now_ns, *(self._last_completed_at_ns.get(source, 0) for source in busy)])
        counts = [int(np.searchsorted(each.done.completed_at_ns, known_until_ns, side="right")) for each in self.held]
        return self._release(counts)

    def finish(self, closed_at_ns: int) -> tuple[list[HeldCompletions], list[HeldCompletions]]:
        """Return what else counts, nothing of it later than `closed_at_ns`, and what does not. All is known now."""
        ends = [each.done.completed_at_ns for each in self.held]
        in_time = np.sort(np.concatenate([end[end <= closed_at_ns] for end in ends] or [np.empty(0, np.int64)]))
        left = min(self._limit - self._released, len(in_time))
        if not left:
            return [], self.held
        last_ns = in_time[left - 1]
        counts = [int(np.searchsorted(end, last_ns, side="left")) for end in ends]
        left -= sum(counts)
        for index, end in enumerate(ends):  # of those that completed at the very instant of the last one, some count
            ties = min(left, int(np.searchsorted(end, last_ns, side="right")) - counts[index])
            counts[index] += ties
            left -= ties
        return self._release(counts), self.held

    def _release(self, counts: list[int]) -> list[HeldCompletions]:
        parts = [each.split(count) for each, count in zip(self.held, counts, strict=True)]
        released = [first for first, _ in parts if len(first.done)]
        self.held = [rest for _, rest in parts if len(rest.done)]
        self._released += sum(len(each.done) for each in released)
        return released
