"""Instants of inferences, as whoever ran them saw them. CLOCK_MONOTONIC (or the simulated clock), integer ns."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Int64Array = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class InferenceStamps:
    """One inference."""

    issued_at_ns: int
    completed_at_ns: int

    @property
    def service_ns(self) -> int:
        """Time from the issue to the completion."""
        return self.completed_at_ns - self.issued_at_ns


@dataclass(frozen=True, slots=True, kw_only=True)
class Completions:
    """Inferences of one lane that have ended, in the order of their completion. All arrays have one length.

    The arrays may be views of a ring that the lane reuses: read them before the lane is asked for more.

    Attributes:
        issued_at_ns: `(n,)` int64.
        completed_at_ns: `(n,)` int64.
        intended_at_ns: `(n,)` int64, when a load wanted them to start, whether or not a lane was free; None for a load
            that has no schedule. It costs nothing there.
        enqueue_ns: `(n,)` int64, host time inside the launch calls; None where the lane does not stamp it.
        gpu_ns: `(n,)` int64, device time by event pairs; None unless it was asked for.
    """

    issued_at_ns: Int64Array
    completed_at_ns: Int64Array
    intended_at_ns: Int64Array | None = None
    enqueue_ns: Int64Array | None = None
    gpu_ns: Int64Array | None = None

    @classmethod
    def none(cls) -> Completions:
        """Return no inference at all."""
        nothing = np.empty(0, dtype=np.int64)
        return cls(issued_at_ns=nothing, completed_at_ns=nothing)

    def __len__(self) -> int:
        return len(self.completed_at_ns)

    def part(self, which: slice) -> Completions:
        """Return some of them, as views."""
        return Completions(
            issued_at_ns=self.issued_at_ns[which],
            completed_at_ns=self.completed_at_ns[which],
            intended_at_ns=None if self.intended_at_ns is None else self.intended_at_ns[which],
            enqueue_ns=None if self.enqueue_ns is None else self.enqueue_ns[which],
            gpu_ns=None if self.gpu_ns is None else self.gpu_ns[which],
        )

    def copy(self) -> Completions:
        """Return them in arrays that nobody writes to again."""
        return Completions(
            issued_at_ns=self.issued_at_ns.copy(),
            completed_at_ns=self.completed_at_ns.copy(),
            intended_at_ns=None if self.intended_at_ns is None else self.intended_at_ns.copy(),
            enqueue_ns=None if self.enqueue_ns is None else self.enqueue_ns.copy(),
            gpu_ns=None if self.gpu_ns is None else self.gpu_ns.copy(),
        )
