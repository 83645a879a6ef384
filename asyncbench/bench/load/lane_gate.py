"""Gate of a lane: holds whoever drives the lane between two inferences while its memory is needed elsewhere."""

from __future__ import annotations

import trio


class LaneGate:
    """Shared by the worker that drives a lane, which obeys it, and the governor, which closes it. Open at first."""

    def __init__(self) -> None:
        self.closed = False
        self._idle = trio.Event()
        self._opened = trio.Event()
        self._ended = False

    def close(self) -> None:
        """Let nothing more start."""
        if not self.closed:
            self.closed = True
            self._idle, self._opened = trio.Event(), trio.Event()
            if self._ended:
                self._idle.set()

    async def wait_idle(self) -> None:
        """Wait until nothing of the worker is in flight any more."""
        await self._idle.wait()

    def open(self) -> None:
        """Let the worker go on."""
        self.closed = False
        self._opened.set()

    async def wait_open(self) -> None:
        """Say that nothing is in flight, and wait until the gate is open again."""
        self.mark_idle()
        await self._opened.wait()

    def mark_idle(self) -> None:
        """Say that nothing is in flight."""
        self._idle.set()

    def begin(self) -> None:
        """Say that something may be in flight from now on, unless the gate is closed."""
        self._ended = False

    def end(self) -> None:
        """Say that nothing will be in flight until `begin`."""
        self._ended = True
        self._idle.set()
