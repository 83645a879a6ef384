"""The end of lanes: stop issuing, wait for what is in flight, give up on what never ends."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import trio

from asyncbench.backends.base import Lane

DRAIN_LIMIT_S = 60.0
"""A guess: the slowest inference that we know takes about 20 s (ResNet-50, batch 16, eight lanes on a small CPU)."""


@asynccontextmanager
async def drained(lanes: Sequence[Lane]) -> AsyncIterator[None]:
    """On leaving take all credits back and wait until every lane is idle; abandon those that are not within the limit.

    Shielded: nothing that an inference still writes to may be freed, cancelled or not.
    """
    try:
        yield
    finally:
        for lane in lanes:
            lane.take_credits_back()
        deadline = trio.current_time() + DRAIN_LIMIT_S
        for lane in lanes:
            with trio.CancelScope(deadline=deadline, shield=True) as drain:
                await lane.wait_idle()
            if drain.cancelled_caught:
                lane.abandon(f"no completion within {DRAIN_LIMIT_S:.0f} s of the last credit")
