"""Who may start how many inferences: the closed loop's account, shared by all workers of a cell."""

from __future__ import annotations


class Load:
    """Hands out the right to start inferences until it is stopped or its limit is used up.

    Sync and single-threaded: only tasks of one Trio run touch it.

    Args:
        workers: How many workers share it, > 0.
        limit: Inferences in total, or None for "until stopped".
    """

    def __init__(self, *, workers: int, limit: int | None = None) -> None:
        self._workers = workers
        self._left = limit
        self._stopped = False

    @property
    def stopped(self) -> bool:
        """Whether nothing more will be handed out."""
        return self._stopped or self._left == 0

    def stop(self) -> None:
        """Hand out nothing more; what was handed out may still run."""
        self._stopped = True

    def take(self, wanted: int) -> int:
        """Return how many inferences the caller may start, at most `wanted`; 0 once stopped.

        Near the limit the shares shrink, so that no worker idles while another holds a backlog.
        """
        if self._stopped or self._left == 0:
            return 0
        if self._left is None:
            return wanted
        share = min(wanted, max(1, self._left // (2 * self._workers)))
        self._left -= share
        return share

    def give_back(self, count: int) -> None:
        """Return rights that were taken and not used."""
        if self._left is not None:
            self._left += count
