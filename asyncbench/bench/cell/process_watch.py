"""What the bench process used and what befell it while a window was open."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager

from asyncbench.bench.cell.heartbeat import Clock, Heartbeat
from asyncbench.conditions.own_process import cpu_time_ns
from asyncbench.measurement.disturbance import Stalls
from asyncbench.measurement.window import WindowResult
from asyncbench.memory.host.cpu_quota import CpuQuota, ThrottleCounts, Throttling


class ProcessWatch:
    """Processor time, stalls and throttling of this process. Only inside `watching` does it keep kernel files open.

    Args:
        now_ns: The clock of the stamps.
        beats_every_ns: How often the heartbeat is meant to beat.
    """

    def __init__(self, now_ns: Clock, *, beats_every_ns: int) -> None:
        self.heartbeat = Heartbeat(now_ns, every_ns=beats_every_ns)
        self.throttling: Throttling | None = None
        """What a CPU quota withheld in the window; None where there is no quota."""
        self._quota: CpuQuota | None = None
        self._before: Sequence[ThrottleCounts] = ()
        self._cpu_ns = 0

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Hold the counters of the control groups ready, so that opening a window reads and opens nothing."""
        with closing(CpuQuota()) as self._quota:
            self.heartbeat.start()
            yield
        self._quota = None

    @property
    def cpu_ns(self) -> int:
        """Processor time of all threads from the opening of the window to its closing."""
        return max(0, self._cpu_ns)

    def window_opened(self) -> None:
        """Note where the window begins."""
        self._before = self._quota.read() if self._quota else ()
        self._cpu_ns = -cpu_time_ns()

    def window_closed(self) -> None:
        """Note where it ends; a stall may reach up to here."""
        self.heartbeat.beat()
        self._cpu_ns += cpu_time_ns()
        self.throttling = self._quota.throttling_since(self._before) if self._quota else None

    def stalls_in(self, window: WindowResult | None) -> Stalls:
        """Return the stalls that lie in a window."""
        if window is None:
            return Stalls()
        return self.heartbeat.stalls(opened_at_ns=window.opened_at_ns, ended_at_ns=window.ended_at_ns)
