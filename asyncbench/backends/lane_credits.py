"""Number of inferences that a lane may be granted ahead: as many as last until Trio looks again, at any rate."""

from __future__ import annotations

from asyncbench.clock import NS_PER_US

# All lanes of a cell together: 65 ms of work at 1 µs an inference, where the runner looks at least every 50 ms (its
# workers every 20 ms once they are woken). Nothing here starts them faster: threads share the interpreter lock, and
# the native pump's thread launches for all its lanes.
_MAX_CELL_CREDITS = 1 << 16
_FASTEST_NS = NS_PER_US
_LASTING_NS = _MAX_CELL_CREDITS * _FASTEST_NS


def credits_per_lane(lanes: int, *, at_least: int) -> int:
    """Return what each of so many lanes may hold, where whoever starts their inferences is one for all of them."""
    return max(at_least, _MAX_CELL_CREDITS // lanes)


def credits_at(service_ns: int, *, at_least: int) -> int:
    """Return what a lane may hold whose inferences take that long, whatever the other lanes do."""
    return min(_MAX_CELL_CREDITS, max(at_least, _LASTING_NS // max(1, service_ns)))
