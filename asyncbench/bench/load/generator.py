"""Load generators: the contract of what starts a cell's inferences, and what it is made from.

A load is one module with a `LoadDescriptor`, and one registration: a line in `asyncbench.bench.load.registry`, or an
entry point of the group `asyncbench.loads` in another package. Then `--load` and the key `load` know its name.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

from pydantic import BaseModel, ConfigDict, JsonValue

from asyncbench.backends.base import Lane
from asyncbench.error_translation import innermost, own_or_system_error
from asyncbench.errors import InternalError
from asyncbench.measurement.stamps import Completions
from asyncbench.sweep.cell import Driver
from asyncbench.sweep.load import CLOSED

Record = Callable[[Completions, int], None]
"""Takes at least one completion of one source, and the number of the source. The arrays may be reused afterwards.

A source is a lane or a worker: what issues and completes inferences in order. A load numbers its sources as it likes.
"""


class LoadGenerator(Protocol):
    """Load on the lanes of one cell: starts inferences while its body runs, and records what they became.

    Lives in one Trio run, for one call of `run`; the other methods are called while `run` runs, none of them by two
    tasks at once.
    """

    async def run(self, body: Callable[[], Awaitable[None]]) -> None:
        """Start inferences beside `body`; when it returns, stop, drain, record what is left, and return.

        Cancelled, it ends at once: whoever opened the lanes drains them.

        Raises:
            LaneError: A lane failed.
            DeviceLostError: A lane did not become idle within the drain limit.
        """

    def flush(self) -> None:
        """Record everything that has completed so far."""

    async def withhold(self, lane: int) -> None:
        """Let a lane start nothing more, and wait until it is idle and all that it had started is recorded.

        Cancelled only together with `run`.
        """

    def resume(self, lane: int) -> None:
        """Let a lane go on that was withheld, or that `withheld` named at the beginning."""

    def busy(self) -> Collection[int]:
        """Return the sources with something in flight. What they complete next comes after all that they recorded."""

    def statistics(self) -> Mapping[str, JsonValue]:
        """Return what the load has to say of itself when `run` is over; it becomes the record's `load_statistics`."""


class NoOptions(BaseModel):
    """Options of a load that has none."""

    model_config = ConfigDict(frozen=True, extra="forbid")


Options = TypeVar("Options", bound=BaseModel)


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadRequest(Generic[Options]):
    """A load on the lanes of one cell, to be made.

    Attributes:
        lanes: Idle; from 1 to `concurrency`.
        concurrency: Inferences that are wanted at once: of a closed loop the workers, of an open one a limit.
        driver: How a completion is noticed; a load may know one way only.
        record: Takes what completed; called on the Trio thread.
        withheld: Indices of lanes that must not run until `resume`.
        now_ns: The clock that the lanes stamp with.
        seed: Of whatever the load does by lot.
    """

    lanes: Sequence[Lane]
    concurrency: int
    driver: Driver
    record: Record
    withheld: Collection[int]
    now_ns: Callable[[], int]
    seed: int
    options: Options


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadDescriptor(Generic[Options]):
    """A kind of load, as it is registered under a name.

    Attributes:
        make: Returns the load of one cell.
        options: Model of the keys that `load` has beside `kind`. They are validated before an engine is opened.
        is_closed_loop: Whether every worker wants its next inference the moment its last one is done. Then lanes that
            idle show what the runner costs, and waits for shared lanes are worked out from the stamps. Otherwise lanes
            idle on purpose, and waits are known where the load records `Completions.intended_at_ns`.
    """

    make: Callable[[LoadRequest[Options]], LoadGenerator]
    options: type[Options]
    is_closed_loop: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ChosenLoad:
    """The load that a sweep asks for, with its options validated."""

    name: str
    descriptor: LoadDescriptor[Any]
    options: BaseModel
    seed: int = 0

    @property
    def is_closed_loop(self) -> bool:
        """See `LoadDescriptor.is_closed_loop`."""
        return self.descriptor.is_closed_loop

    def failure(self, error: Exception) -> InternalError | None:
        """Return what to tell of an error of a load of another package; None where the error is ours or known."""
        if self.name == CLOSED or own_or_system_error(error) is not None:
            return None
        foreign = innermost(error)
        why = " ".join(f"{type(foreign).__name__}: {foreign}".split()).rstrip(": ")
        return InternalError(f"load {self.name} failed: {why}", remedy="report it to whoever wrote that load")

    def make(
        self,
        lanes: Sequence[Lane],
        *,
        concurrency: int,
        driver: Driver,
        record: Record,
        withheld: Collection[int],
        now_ns: Callable[[], int],
    ) -> LoadGenerator:
        """Return the load of one cell; see `LoadRequest`."""
        request: LoadRequest[Any] = LoadRequest(
            lanes=lanes,
            concurrency=concurrency,
            driver=driver,
            record=record,
            withheld=withheld,
            now_ns=now_ns,
            seed=self.seed,
            options=self.options,
        )
        return self.descriptor.make(request)
