"""A latency limit: a percentile, and what it must stay below."""

from __future__ import annotations

from dataclasses import dataclass, field

from asyncbench.errors import BadInputError
from asyncbench.units import parse_duration_ns

# Those that every record has (measurement/percentile.py; a test holds the two together).
LIMIT_PERCENTILES = ("p50", "p90", "p95", "p99", "p99.9")
DEFAULT_PERCENTILE = "p99"


@dataclass(frozen=True, slots=True, kw_only=True)
class LatencyLimit:
    """The most that a percentile of the latency may be, as a user asks for it.

    Attributes:
        percentile: One of `LIMIT_PERCENTILES`.
        limit_ns: What it may be at most, > 0.
        text: As it was written; `20ms` and `p99=20ms` are one limit.
    """

    percentile: str
    limit_ns: int
    text: str = field(default="", compare=False)

    def __str__(self) -> str:
        return self.text or f"{self.percentile}={self.limit_ns}ns"

    @property
    def ratio(self) -> float:
        """The share of inferences that must be within the limit: 0.99 for p99."""
        return float(self.percentile[1:]) / 100


def parse_latency_limit(text: str) -> LatencyLimit:
    """Return the limit of `p95=20ms`, or of `20ms`, which means p99.

    Raises:
        BadInputError: The percentile is none that records have, or the rest is no duration.
    """
    name, given, duration = text.rpartition("=")
    percentile = name.strip().lower() if given else DEFAULT_PERCENTILE
    if given and not (percentile and duration.strip()):
        missing = "a duration after" if percentile else "a percentile before"
        raise BadInputError(f"{text.strip()!r} lacks {missing} its =", remedy="write p99=20ms, or 20ms for p99")
    if percentile not in LIMIT_PERCENTILES:
        known = ", ".join(LIMIT_PERCENTILES)
        raise BadInputError(
            f"{name.strip()!r} is not a percentile that is measured", remedy=f"use one of {known}, such as p99=20ms"
        )
    return LatencyLimit(percentile=percentile, limit_ns=parse_duration_ns(duration), text=text)
