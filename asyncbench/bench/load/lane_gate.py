"""Stops whoever drives a lane between two inferences, for as long as its memory is needed elsewhere."""

from __future__ import annotations

import trio


class LaneGate:
    """Shared by a worker, which obeys it, and the governor, which pulls it."""

    def __init__(self) -> None:
        self.on = False
        self._reached = trio.Event()
        self._released = trio.Event()
        self._ended = False

    def pull(self) -> None:
        """Ask for a stop."""
        if not self.on:
            self.on = True
            self._reached, self._released = trio.Event(), trio.Event()
            if self._ended:
                self._reached.set()

    async def wait_reached(self) -> None:
        """Wait until nothing of the worker is in flight any more."""
        await self._reached.wait()

    def release(self) -> None:
        """Let it go on."""
        self.on = False
        self._released.set()

    async def stop_here(self) -> None:
        """Say that nothing is in flight, and wait for the release."""
        self.mark_reached()
        await self._released.wait()

    def mark_reached(self) -> None:
        """Say that nothing is in flight."""
        self._reached.set()

    def begin(self) -> None:
        """Say that something may be in flight from now on, unless the brake is pulled."""
        self._ended = False

    def end(self) -> None:
        """Say that nothing will be in flight until `begin`."""
        self._ended = True
        self._reached.set()
