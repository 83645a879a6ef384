"""Probes of a bench process: the table of those that come with the package, those of others, and what keeps them apart.

A probe may be anybody's code. Whatever it does wrong is reported once, and costs nobody but the probe.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from importlib.metadata import entry_points
from types import MappingProxyType
from typing import Final, Generic, TypeAlias, TypeVar

import trio
from pydantic import BaseModel, JsonValue, TypeAdapter

from asyncbench.clock import NS_PER_MS, now_ns
from asyncbench.conditions.host_load import open_host_load
from asyncbench.conditions.own_process import open_own_process
from asyncbench.conditions.probe import Block, CellWatch, Conditions, OpenProbe, Probe, Span
from asyncbench.errors import AsyncbenchError
from asyncbench.event_log import get_logger
from asyncbench.results.fields import Facts
from asyncbench.units import format_duration, format_size

PROBE_GROUP: Final = "asyncbench.probes"

# The own process is the last to begin with a cell and the first to be read: what other probes take is not the cell's.
BUILT_IN: Final[Mapping[str, OpenProbe]] = MappingProxyType({"host": open_host_load, "own_process": open_own_process})

# Guess: whoever takes longer to begin or to end hangs.
_LIMIT_S: Final = 5.0
# Longer than a scheduler leaves us without a processor as a rule.
_SLOW_NS: Final = 50 * NS_PER_MS
_MAX_DETAILS_BYTES: Final = 64 * 1024
# Readers of JSON, the supervisor's included, refuse what is nested deeper than they like.
_MAX_DEPTH: Final = 16
_MAX_TEXT_CHARS: Final = 300
_LEFT_OUT: Final = "its block is left out of the records"

_log = get_logger()
_facts: Final[TypeAdapter[dict[str, JsonValue]]] = TypeAdapter(Facts)
_Value = TypeVar("_Value")

Load: TypeAlias = Callable[[], OpenProbe]
Notify: TypeAlias = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeSource:
    """A probe that is registered.

    Attributes:
        load: Returns what opens it; that may import foreign code, and fail.
    """

    name: str
    load: Load


FindProbes: TypeAlias = Callable[[], Sequence[ProbeSource]]


def built_in_probes() -> list[ProbeSource]:
    """Return the probes of the package."""
    return [ProbeSource(name=name, load=partial(_given, opened)) for name, opened in BUILT_IN.items()]


def installed_probes() -> list[ProbeSource]:
    """Return the probes of other installed distributions, and then those of the package. Imports none of them."""
    others = [ProbeSource(name=entry.name, load=entry.load) for entry in entry_points(group=PROBE_GROUP)]
    return [*others, *built_in_probes()]


def _given(opened: OpenProbe) -> OpenProbe:
    return opened


class Probes:
    """Probes that are open for one device at a time.

    Args:
        sources: Finds them; of two with one name the last one counts.
        notify: Takes one line for people, at most one for each probe.
        nursery: Where their tasks run. Theirs alone, and longer than any cell: one that hangs holds up no cell.
    """

    def __init__(self, sources: FindProbes, notify: Notify, nursery: trio.Nursery) -> None:
        self._sources = sources
        self._notify = notify
        self._nursery = nursery
        self._device: str | None = None
        self._open: dict[str, _Held[Probe | None]] = {}
        self._reported: set[str] = set()

    async def open(self, device: str) -> None:
        """Open all that there is to watch on a device; where they are open for it already, they stay."""
        if device == self._device:
            return
        await self.close()
        self._device = device
        for source in self._chosen():
            held: _Held[Probe | None] = _Held(partial(_open, source, device), partial(self._report, source.name))
            await held.enter(self._nursery)
            if held.value is not None:
                self._open[source.name] = held
            else:
                await held.leave()

    async def close(self) -> None:
        """Close them; again is harmless."""
        self._device = None
        while self._open:
            _, held = self._open.popitem()
            await held.leave()

    @asynccontextmanager
    async def watch(self) -> AsyncIterator[CellWatches]:
        """Watch one cell with all probes."""
        watches: dict[str, _Held[CellWatch]] = {}
        try:
            for name, held in self._open.items():
                if (probe := held.value) is not None:
                    watches[name] = _Held(partial(_watch, probe), partial(self._report, name))
                    await watches[name].enter(self._nursery)
            yield CellWatches(watches)
        finally:
            for watch in watches.values():
                watch.request_leave()
        # A cell that failed or was cancelled waits for none of them: they end by themselves.
        for name, watch in watches.items():
            await watch.leave()
            if watch.hangs:
                self._open.pop(name).request_leave()

    def _chosen(self) -> Sequence[ProbeSource]:
        chosen: dict[str, ProbeSource] = {}
        for source in reversed(self._find()):
            if source.name in chosen:
                self._report(source.name, "several probes have this name, and only one of them runs")
            else:
                chosen[source.name] = source
        return [*reversed(chosen.values())]

    def _find(self) -> Sequence[ProbeSource]:
        try:
            return self._sources()
        except Exception as error:  # noqa: BLE001 # files of any installed distribution are read
            self._report("of other packages", _fault_text(error))
            return built_in_probes()

    def _report(self, name: str, text: str) -> None:
        _log.warning("probe.failed", probe=name, message=text)
        if name not in self._reported:
            self._reported.add(name)
            self._notify(f"probe {name}: {text}")


@asynccontextmanager
async def open_probes(sources: FindProbes, notify: Notify) -> AsyncIterator[Probes]:
    """Own probes and their tasks; they are opened for a device by `Probes.open`, and closed at the end."""
    async with trio.open_nursery() as nursery:
        probes = Probes(sources, notify, nursery)
        yield probes
        await probes.close()
        nursery.cancel_scope.cancel()


@asynccontextmanager
async def watch_nothing() -> AsyncIterator[CellWatches]:
    """Watch a cell without any probe."""
    yield CellWatches({})


class CellWatches:
    """All probes at work on one cell. Sync; one Trio run."""

    def __init__(self, watches: Mapping[str, _Held[CellWatch]]) -> None:
        self._watches = watches

    def window_opened(self) -> None:
        """Have the probes read where the window opens."""
        for name, held in self._watches.items():
            began_at_ns = now_ns()
            _read(held, _opened)
            took_ns = now_ns() - began_at_ns
            if took_ns > _SLOW_NS and name not in BUILT_IN:
                held.report(f"it held inferences up for {format_duration(took_ns)} where the window opens")

    def window_closed(self) -> None:
        """Have them read where it closes, in the opposite order."""
        for held in reversed([*self._watches.values()]):
            _read(held, _closed)

    def conditions(self, window: Span | None) -> Conditions:
        """Return what they saw, once all lanes are gone."""
        found = {name: _block_of(held, window) for name, held in reversed([*self._watches.items()])}
        return Conditions(blocks={name: block for name, block in found.items() if block is not None})


def _read(held: _Held[CellWatch], read: Callable[[CellWatch], None]) -> None:
    try:
        if held.value is not None:
            read(held.value)
    except (Exception, SystemExit) as error:  # noqa: BLE001 # foreign code
        held.give_up(error)


def _opened(watch: CellWatch) -> None:
    watch.window_opened()


def _closed(watch: CellWatch) -> None:
    watch.window_closed()


def _block_of(held: _Held[CellWatch], window: Span | None) -> Block | None:
    try:
        return None if held.value is None else checked_block(held.value.block(window))
    except (Exception, SystemExit) as error:  # noqa: BLE001 # foreign code
        held.give_up(error)
        return None


def checked_block(given: Block | BaseModel | Mapping[str, JsonValue] | None) -> Block | None:
    """Return a block whose details are JSON that every reader takes.

    Raises:
        ValueError: They are not, or too long for a record.
        TypeError: It is no block.
    """
    if given is None:
        return None
    if not isinstance(given, Block):
        if not isinstance(given, BaseModel | Mapping):
            raise TypeError(f"its block is {type(given).__name__}, and not a mapping")
        return checked_block(Block(details=given.model_dump() if isinstance(given, BaseModel) else dict(given)))
    for facts in (given.details, given.gpu or {}):
        text = _facts.dump_json(_facts.validate_python(facts))
        if len(text) > _MAX_DETAILS_BYTES:
            raise ValueError(f"its block has {format_size(len(text))}, {format_size(_MAX_DETAILS_BYTES)} are allowed")
        if _depth(facts) > _MAX_DEPTH:
            raise ValueError(f"its block is nested more than {_MAX_DEPTH} deep")
    return given


def _depth(value: JsonValue) -> int:
    if isinstance(value, dict):
        return 1 + max(map(_depth, value.values()), default=0)
    if isinstance(value, list):
        return 1 + max(map(_depth, value), default=0)
    return 0


@asynccontextmanager
async def _open(source: ProbeSource, device: str) -> AsyncIterator[Probe | None]:
    async with source.load()(device) as probe:
        yield probe


@asynccontextmanager
async def _watch(probe: Probe) -> AsyncIterator[CellWatch]:
    async with probe.watch() as watch:
        yield watch


class _Held(Generic[_Value]):
    """A context that is entered and left in a task of its own: what fails in it cancels nothing else.

    Args:
        make: Returns the context.
        report: Takes what went wrong.
    """

    def __init__(self, make: Callable[[], AbstractAsyncContextManager[_Value]], report: Notify) -> None:
        self.value: _Value | None = None
        """None before and after, where it failed, and where it is None."""
        self.hangs = False
        self._make = make
        self.report = report
        self._scope = trio.CancelScope()
        self._entered = trio.Event()
        self._leaving = trio.Event()
        self._left = trio.Event()

    async def enter(self, nursery: trio.Nursery) -> None:
        """Return once it is entered, has failed, or hangs."""
        nursery.start_soon(self._run)
        await self._wait(self._entered, "begin")

    async def leave(self) -> None:
        """Return once it is left, or hangs."""
        self.request_leave()
        if not self.hangs:
            await self._wait(self._left, "end")

    def request_leave(self) -> None:
        """Have it left, without waiting for that."""
        self.value = None
        self._leaving.set()

    def give_up(self, error: BaseException) -> None:
        """Leave it alone from now on, for something failed that was called."""
        self.value = None
        self.report(_fault_text(error))

    async def _wait(self, event: trio.Event, what: str) -> None:
        with trio.move_on_after(_LIMIT_S):
            await event.wait()
        if not event.is_set() and not self.hangs:
            self.hangs = True
            self.value = None
            self._scope.cancel()
            self.report(f"it did not {what} within {_LIMIT_S:g} s; {_LEFT_OUT}")

    async def _run(self) -> None:
        try:
            with self._scope:
                async with self._make() as self.value:
                    self._entered.set()
                    await self._leaving.wait()
        except (Exception, SystemExit) as error:  # noqa: BLE001 # foreign code
            self.report(_fault_text(error))
        finally:
            self.value = None
            self._entered.set()
            self._left.set()


def _fault_text(error: BaseException) -> str:
    """Return what an error says and what it costs, in one line."""
    while isinstance(nested := getattr(error, "exceptions", None), tuple) and nested:
        error = nested[0]
    text = str(error) if isinstance(error, AsyncbenchError) else f"{type(error).__name__}: {error}"
    # Whatever foreign code says has to pass through a pipe and onto a terminal.
    line = " ".join(text.encode("utf-8", "backslashreplace").decode().split()).rstrip(": ")
    return f"{line[:_MAX_TEXT_CHARS]}; {_LEFT_OUT}"
