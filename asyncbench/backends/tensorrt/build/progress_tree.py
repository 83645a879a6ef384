"""How far a build is, from the nested phases that TensorRT's progress monitor reports."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class _Phase:
    parent: str | None
    steps: int
    done: int = 0


class ProgressTree:
    """Turns phases into one ratio that never falls. Not thread-safe.

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
