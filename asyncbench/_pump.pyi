# ruff: noqa: C408, D200, E501, ICN001, PYI021, PYI034  # generated: `scripts/native-test stub`
"""
The native pump: launches CUDA graphs and stamps their completions without Python.
"""

from collections.abc import Sequence
from typing import Annotated

import numpy
from numpy.typing import NDArray

class DriverError(RuntimeError):
    """A call of the CUDA driver failed; `args` is (code, name, text, call)."""

class Pump:
    """
    One native thread that launches and stamps for all lanes. Close it, or leave its context.

    A lane is named by the number that added it; numbers are not used again.

    Args:
        cuda_context: The CUcontext that streams and graphs belong to.
        completion: `spin`, `yield` or `block`.
        library: The driver library; `libcuda.so.1` unless given.

    Raises:
        OSError: The library, or a function of it, is not there.
        DriverError: The context cannot be used.
    """

    def __init__(self, cuda_context: int, *, completion: str = "spin", library: str | None = None) -> None: ...
    @property
    def fd(self) -> int:
        """
        Readable when an armed lane is ready. Owned by the pump: do not read or close.
        """

    def add_lane(
        self,
        stream: int,
        graph_exec: int,
        max_credits: int,
        *,
        depth: int = 1,
        gpu_time: bool = False,
        deadline_ns: int | None = None,
    ) -> int:
        """
        Add a lane over a CUstream and a CUgraphExec, which must outlive it.

        Args:
            max_credits: The most credits, inferences in flight and undrained completions together.
            depth: Inferences queued on the stream at once.
            gpu_time: Take the device time of each inference with a pair of events.
            deadline_ns: An inference in flight for longer stops the lane with the error `NO_COMPLETION`.

        Raises:
            DriverError: The events cannot be made.
        """

    def add_empty_lane(self, max_credits: int) -> int:
        """
        Add a lane whose inferences do nothing: what is left is the cost of pump and runner.
        """

    def remove_lane(self, lane: int) -> None:
        """
        Free a lane and its events; the pump thread is done with it on return.

        Raises:
            RuntimeError: The lane still has credits or inferences in flight.
        """

    def give_credits(self, lane: int, count: int) -> None:
        """
        Allow `count` more inferences. A lane that has failed takes none.

        Raises:
            ValueError: More than `max_credits` would be outstanding.
        """

    def take_credits_back(self, lane: int) -> int:
        """
        Withdraw the credits of inferences that have not started, and return how many.
        """

    def drain(
        self, lane: int
    ) -> tuple[
        Annotated[NDArray[numpy.int64], dict(shape=(None,))],
        Annotated[NDArray[numpy.int64], dict(shape=(None,))],
        Annotated[NDArray[numpy.int64], dict(shape=(None,))],
        Annotated[NDArray[numpy.int64], dict(shape=(None,))] | None,
    ]:
        """
        Take the completions of a lane, oldest first, perhaps none.

        Returns:
            `(issued_at_ns, enqueue_ns, completed_at_ns, gpu_ns)`, each `(n,)` int64, owned by the caller;
            `gpu_ns` is None unless it was asked for.
        """

    def arm(self, lane: int, count: int = 1) -> None:
        """
        Make `fd` readable, once, when the lane has `count` undrained completions, or fewer and none to come, or failed.

        If that is so already, `fd` is readable on return.
        """

    def ready_lanes(self) -> list[int]:
        """
        Clear `fd` and return the armed lanes that became ready since the last call, ascending.
        """

    def in_flight(self, lane: int) -> int:
        """
        Return how many inferences were launched and are not known to have ended.
        """

    def lane_error(self, lane: int) -> tuple[int, str, str, str] | None:
        """
        Return `(code, name, text, call)` of what stopped the lane; code 0 and `NO_COMPLETION` for the deadline.
        """

    def wait_idle(self, lane: int, timeout_ns: int) -> bool:
        """
        Block until the lane has no credits and nothing in flight; False after `timeout_ns`.
        """

    def close(self, drain_limit_ns: int = 5000000000) -> bool:
        """
        Stop issuing, wait for what is in flight, join the thread and free the events. Idempotent.

        Completions and errors may still be read.

        Returns:
            False if something was still in flight after `drain_limit_ns`: then the buffers must be leaked, as the events are.
        """

    def __enter__(self) -> Pump: ...
    def __exit__(self, exc_type: object, exc: object, traceback: object) -> None: ...

class BareLoopResult:
    """What a bare loop did."""

    @property
    def n(self) -> int:
        """Inferences of all lanes."""

    @property
    def duration_ns(self) -> int:
        """From the first launch to the last end."""

    @property
    def latencies_ns(self) -> Annotated[NDArray[numpy.int64], dict(shape=(None,))]:
        """`(m,)` int64, lane by lane; the first 262,144 of each lane."""

def bare_loop(
    cuda_context: int,
    lanes: Sequence[tuple[int, int]],
    seconds: float,
    *,
    completion: str = "spin",
    library: str | None = None,
) -> BareLoopResult:
    """
    Run the loop that a pump is compared with: a native thread per lane, at depth 1.

    Args:
        lanes: `(stream, graph_exec)` of each lane; nobody else may use them meanwhile.

    Raises:
        DriverError: A call failed.
    """

def bare_replay(cuda_context: int, stream: int, graph_exec: int, count: int, *, library: str | None = None) -> int:
    """
    Replay a graph `count` times back to back with one wait at the end.

    Returns:
        What all of it took, in ns.

    Raises:
        DriverError: A call failed.
    """
