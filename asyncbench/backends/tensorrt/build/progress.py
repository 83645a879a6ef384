"""Progress of a build, as the builder's child reports it: TensorRT's nested phases as events with one ratio."""

from __future__ import annotations

from dataclasses import dataclass
from threading import Lock
from typing import TextIO

from asyncbench.backends.tensorrt.build.messages import EVENTS, BuildEvent, PhaseEvent

_MIN_STEP_RATIO = 0.005


class EventWriter:
    """Writer of events, one line each; any thread may."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._lock = Lock()

    def write(self, event: BuildEvent) -> None:
        """Write one event; the parent sees it at once."""
        line = EVENTS.dump_json(event).decode()
        with self._lock:
            print(line, file=self._stream, flush=True)


class ProgressReporter:
    """Reporter of the phases of TensorRT's threads as events, no more of them than people can see."""

    def __init__(self, events: EventWriter) -> None:
        self._events = events
        self._tree = ProgressTree()
        self._lock = Lock()
        self._reported_ratio = 0.0

    def start(self, name: str, parent: str | None, steps: int) -> None:
        """See ProgressTree.start."""
        with self._lock:
            self._tree.start(name, parent, steps)
            self._report(name)

    def step(self, name: str, index: int) -> None:
        """See ProgressTree.step."""
        with self._lock:
            self._tree.step(name, index)
            if self._tree.done_ratio() - self._reported_ratio >= _MIN_STEP_RATIO:
                self._report(name)

    def finish(self, name: str) -> None:
        """See ProgressTree.finish."""
        with self._lock:
            self._tree.finish(name)
            if self._tree.done_ratio() > self._reported_ratio:
                self._report(name)

    def _report(self, phase: str) -> None:
        self._reported_ratio = self._tree.done_ratio()
        self._events.write(PhaseEvent(phase=phase, done_ratio=self._reported_ratio))


@dataclass(slots=True)
class _Phase:
    parent: str | None
    steps: int
    done: int = 0


class ProgressTree:
    """Tree of phases, as one ratio that never falls. Not thread-safe.

    The ratio counts steps, and TensorRT's steps differ widely in length: it says that things move, not when they end.
    """

    def __init__(self) -> None:
        self._phases: dict[str, _Phase] = {}
        self._highest = 0.0

    def start(self, name: str, parent: str | None, steps: int) -> None:
        """Note that a phase of `steps` steps has begun within `parent`."""
        self._phases[name] = _Phase(parent=parent, steps=max(1, steps))

    def step(self, name: str, index: int) -> None:
        """Note that step `index`, from 0, is complete."""
        if name in self._phases:
            self._phases[name].done = min(index + 1, self._phases[name].steps)

    def finish(self, name: str) -> None:
        """Note that a phase is over; a phase without parent is the whole build."""
        phase = self._phases.pop(name, None)
        if phase is not None and phase.parent is None:
            self._highest = 1.0

    def done_ratio(self) -> float:
        """Return how much is done, from 0 to 1."""
        tops = [self._ratio(name) for name, phase in self._phases.items() if phase.parent is None]
        self._highest = max([self._highest, *tops])
        return self._highest

    def _ratio(self, name: str) -> float:
        phase = self._phases[name]
        inside = [self._ratio(other) for other, one in self._phases.items() if one.parent == name]
        return min(1.0, (phase.done + max(inside, default=0.0)) / phase.steps)
