"""What befell the measuring process while a window was open, seen from inside."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Stalls:
    """Stretches in which the process did not run though it wanted to, as far as they lie in a window.

    Attributes:
        n: How many.
        suspended_ns: For how long the machine was suspended; no part of the window, the clock stands still meanwhile.
    """

    n: int = 0
    total_ns: int = 0
    longest_ns: int = 0
    suspended_ns: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Throttling:
    """What the kernel withheld because a CPU quota was used up.

    Attributes:
        quota_cpus: Processors' worth of time that the control group may use.
        periods: Periods of the quota in which the group wanted to run.
        throttled_periods: Those of them in which it was held back.
        throttled_ns: For how long, summed over processors: may be more than the window.
    """

    quota_cpus: float
    periods: int
    throttled_periods: int
    throttled_ns: int
