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
