"""A request to end a sweep before its last cell."""

from __future__ import annotations

from dataclasses import dataclass, field

import trio


@dataclass(frozen=True, slots=True, kw_only=True)
class StopRequest:
    """Two steps: end in an orderly way, and end at once.

    Attributes:
        stop: The running cell drains and is recorded as interrupted; no other one starts.
        abort: Not even that: the bench process is killed.
    """

    stop: trio.Event = field(default_factory=trio.Event)
    abort: trio.Event = field(default_factory=trio.Event)
