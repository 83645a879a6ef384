"""Body of a lane: the inference itself and the memory of it, apart from credits, stamps and threads."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

from asyncbench.errors import AsyncbenchError
from asyncbench.tensors import AnyArray


class LaneBody(Protocol):
    """Inputs, outputs and whatever else an inference needs. Its lane sees to it that nothing runs meanwhile."""

    def read_outputs(self) -> Mapping[str, AnyArray]:
        """See `Lane.read_outputs`."""

    def write_inputs(self, inputs: Mapping[str, AnyArray]) -> None:
        """See `Lane.write_inputs`."""

    async def free_memory(self) -> None:
        """Give the memory back. Cancelling waits until it is done."""

    async def take_memory(self) -> None:
        """Take it again, with the inputs that the lane was opened with.

        Raises:
            DoesNotFitError: It was refused; nothing is held.
        """


class RunnableBody(LaneBody, Protocol):
    """A body that runs its inference itself."""

    def run(self) -> None:
        """Run one inference and return when it has ended. Blocking, on the lane's thread."""

    def explain(self, error: Exception) -> AsyncbenchError | None:
        """Return what the user can do about what `run` raised; None where nothing is known beyond the error itself."""


class GraphBody(LaneBody, Protocol):
    """A body whose inference is a captured graph, for somebody else to launch."""

    @property
    def stream(self) -> int:
        """The CUstream that it is launched on; nobody else uses it."""

    @property
    def graph_exec(self) -> int:
        """The CUgraphExec. Another one each time that the memory was taken."""


class EmptyBody:
    """A body without memory; the inference is a call that is given."""

    def __init__(self, run: Callable[[], None] = lambda: None) -> None:
        self.run = run

    def read_outputs(self) -> Mapping[str, AnyArray]:
        """Return nothing."""
        return {}

    def write_inputs(self, inputs: Mapping[str, AnyArray]) -> None:
        """Ignore the inputs."""

    def explain(self, _error: Exception) -> AsyncbenchError | None:
        """Know nothing beyond the error itself."""
        return None

    async def free_memory(self) -> None:
        """Free nothing."""

    async def take_memory(self) -> None:
        """Take nothing."""
