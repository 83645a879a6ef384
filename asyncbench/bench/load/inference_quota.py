"""Who may start how many inferences: the closed loop's account, shared by all workers of a cell."""

from __future__ import annotations


class InferenceQuota:
    """Hands out the right to start inferences until it is stopped. Sync; only tasks of one Trio run touch it.

    How many count is for whoever records them: were the load to end at a number, lanes would idle before the last one
    is done, and the rate would be one that nobody asked for.
    """

    def __init__(self) -> None:
        self.stopped = False

    def stop(self) -> None:
        """Hand out nothing more; what was handed out may still run."""
        self.stopped = True

    def take(self, wanted: int) -> int:
        """Return how many inferences the caller may start: `wanted`, or 0 once stopped."""
        return 0 if self.stopped else wanted
