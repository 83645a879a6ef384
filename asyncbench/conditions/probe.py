"""Probe: a watch over the machine while a cell runs, with a block of the record of its own.

A new probe is one file and one registration: a line in `conditions.probes.BUILT_IN`, or from outside the package an
entry point of the group `asyncbench.probes`, whose name is the probe's and whose object is an `OpenProbe`:

    @asynccontextmanager
    async def open_probe(device: str) -> AsyncIterator[Probe | None]:
        yield Thermometer()  # None where there is nothing to watch on this device; raise where it is broken

    class Thermometer:
        @asynccontextmanager
        async def watch(self) -> AsyncIterator[CellWatch]:
            async with trio.open_nursery() as nursery:  # for a probe that samples; others need no task
                watch = ThermometerWatch()
                nursery.start_soon(watch.sample)
                yield watch
                nursery.cancel_scope.cancel()

Each context is entered and left in a task of its own: whatever fails in it costs the block, and never the cell.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol, TypeAlias, TypeVar

from pydantic import Field, JsonValue, NonNegativeFloat, NonNegativeInt

from asyncbench.results.cell_parts import CpuThrottling
from asyncbench.results.fields import Facts, RecordModel

_Value = TypeVar("_Value")


class Block(RecordModel):
    """Observations of one probe on one cell; None where it has none.

    An edge of the window is where `CellWatch.window_opened` and `window_closed` are called.
    """

    cpu_ns: NonNegativeInt | None = None
    """Processor time of the bench process between the two edges of the window; `cpu_s_per_item` is made of it."""
    host_peak_bytes: NonNegativeInt | None = None
    """Highest resident size of the bench process during the cell."""
    host_rise_bytes: int | None = None
    """The same less what it was when the cell began."""
    throttling: CpuThrottling | None = None
    """Processor time that a CPU quota withheld in the window."""
    gpu: Facts | None = None
    """The record's `gpu`: clocks, power, temperature."""
    joules: NonNegativeFloat | None = None
    """Energy of the device between the two edges of the window; `joules_per_item` is made of it."""
    details: Facts = Field(default_factory=dict)
    """All that the record has no field for: its `conditions`, under the probe's name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """The window as it was measured in the end. CLOCK_MONOTONIC, integer ns.

    With a fixed number of inferences it is shorter than the time between the two calls of a `CellWatch`.
    """

    opened_at_ns: int
    ended_at_ns: int


class CellWatch(Protocol):
    """A probe at work on one cell. Called on the Trio thread; all but `block` must be over in microseconds."""

    def window_opened(self) -> None:
        """Read what is to be read where the window opens; at most once."""

    def window_closed(self) -> None:
        """Read what is to be read where it closes, while inferences are still in flight; only after an opening."""

    def block(self, window: Span | None) -> Block | Mapping[str, JsonValue] | None:
        """Return what was seen once all lanes are gone; a plain mapping is a block of details.

        Args:
            window: None where nothing completed in a window.
        """


class Probe(Protocol):
    """Probe that is open for as long as a bench process measures on one device."""

    def watch(self) -> AbstractAsyncContextManager[CellWatch]:
        """Watch one cell: entered before its inputs and lanes are made, left when they are gone."""


OpenProbe: TypeAlias = Callable[[str], AbstractAsyncContextManager[Probe | None]]
"""Opens a probe for a device such as `cuda:0` or `cpu`; None where the device has nothing of the kind."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditions:
    """Observations of all probes on one cell. Where two of them observe the same, the first one counts."""

    blocks: Mapping[str, Block]

    @property
    def cpu_ns(self) -> int | None:
        """See `Block`; so are the others."""
        return _first(block.cpu_ns for block in self.blocks.values())

    @property
    def host_peak_bytes(self) -> int | None:
        """Highest resident size of the bench process."""
        return _first(block.host_peak_bytes for block in self.blocks.values())

    @property
    def host_rise_bytes(self) -> int | None:
        """By how much that is above the size at the beginning."""
        return _first(block.host_rise_bytes for block in self.blocks.values())

    @property
    def throttling(self) -> CpuThrottling | None:
        """Processor time that a CPU quota withheld; None where there is no quota."""
        return _first(block.throttling for block in self.blocks.values())

    @property
    def gpu(self) -> dict[str, JsonValue] | None:
        """The record's `gpu`."""
        return _first(block.gpu for block in self.blocks.values())

    @property
    def joules(self) -> float | None:
        """Energy of the device."""
        return _first(block.joules for block in self.blocks.values())

    @property
    def details(self) -> dict[str, dict[str, JsonValue]]:
        """The record's `conditions`, by probe."""
        return {name: block.details for name, block in self.blocks.items() if block.details}


def _first(values: Iterable[_Value | None]) -> _Value | None:
    return next((value for value in values if value is not None), None)
