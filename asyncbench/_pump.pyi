# ruff: noqa: C408, D200, E501, ICN001, PYI021, PYI034  # generated: `scripts/native-test stub`
"""
The native pump: launches CUDA graphs and stamps their completions without Python.
"""

from typing import Annotated

import numpy
from numpy.typing import NDArray

class DriverError(RuntimeError):
    """A call of the CUDA driver failed; `args` is (code, name, text, call)."""

class Pump:
    """
    One native thread that launches and stamps for all lanes. Close it, or leave its context.

    Lanes are identified by the number that `add_lane` returned; numbers are not reused.

    Args:
        cuda_context: The CUcontext that streams and graphs belong to.
        completion: `spin`, `yield` or `block`.
        library: The driver library; `libcuda.so.1` unless given.

    Raises:
        OSError: The library, or one of its functions, cannot be found.
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
            max_credits: Limit of credits, inferences in flight and undrained completions together.
            depth: Inferences queued on the stream at once.
            gpu_time: Measure the device time of each inference with a pair of events.
            deadline_ns: An inference in flight for longer stops the lane with the error `NO_COMPLETION`.

        Raises:
            DriverError: The events cannot be made.
        """

    def add_empty_lane(self, max_credits: int) -> int:
        """
        Add a lane whose inferences do nothing: it measures the cost of pump and runner.
        """

    def remove_lane(self, lane: int) -> None:
        """
        Remove an idle lane and destroy its events; on return the pump thread does not use it any more.

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
        Take back the credits of inferences that have not started, and return how many.
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
        Take the completions of a lane, oldest first; there may be none.

        Returns:
            `(issued_at_ns, enqueue_ns, completed_at_ns, gpu_ns)`, each `(n,)` int64, owned by the caller;
            `gpu_ns` is None for a lane without `gpu_time`.
        """

    def arm(self, lane: int, count: int = 1) -> None:
        """
        Make `fd` readable, once, when the lane has `count` undrained completions, or fewer and none to come, or has failed.

        If that is the case already, `fd` is readable on return.
        """

    def ready_lanes(self) -> list[int]:
        """
        Clear `fd` and return the armed lanes that became ready since the last call, ascending.
        """

    def in_flight(self, lane: int) -> int:
        """
        Return the number of inferences that were launched and are not known to have ended.
        """

    def lane_error(self, lane: int) -> tuple[int, str, str, str] | None:
        """
        Return `(code, name, text, call)` of the error that stopped the lane; code 0 and `NO_COMPLETION` for the deadline.
        """

    def wait_idle(self, lane: int, timeout_ns: int) -> bool:
        """
        Block until the lane has no credits and nothing in flight; False after `timeout_ns`.
        """

    def close(self, drain_limit_ns: int = 5000000000) -> bool:
        """
        Take all credits back, wait for the inferences in flight, join the thread and destroy the events. Idempotent.

        Completions and errors may still be read.

        Returns:
            False if an inference was still in flight after `drain_limit_ns`: then its buffers must be leaked, as its events are.
        """

    def __enter__(self) -> Pump: ...
    def __exit__(self, exc_type: object, exc: object, traceback: object) -> None: ...
