"""Context of a scenario: its seed, its folder, its settings, and the findings that it reports."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Final

from asyncbench.clock import NS_PER_S
from asyncbench.errors import Fact

WHOLE: Final = ""  # the part of a scenario that has none


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One look at one promise.

    Attributes:
        part: Of a scenario whose parts can be run one by one; empty otherwise.
        step: What was done; None for the verdict over all steps.
        held: Whether the promise was kept; None where it could not be tried here.
        figure: For people. Of a verdict it goes onto the page.
    """

    scenario: str
    part: str
    seed: int
    step: str | None
    promise: str
    held: bool | None
    figure: str
    figures: dict[str, Fact]

    @property
    def is_verdict(self) -> bool:
        """True where this is about all steps together."""
        return self.step is None

    def to_line(self) -> str:
        """Return the finding as one JSON line."""
        return json.dumps({"kind": "verdict" if self.is_verdict else "step", **asdict(self)}) + "\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class StressSettings:
    """Settings of a run of the scenarios.

    Attributes:
        quick: A few of each thing, so that all of it takes two minutes.
        gpu_parts: Which parts of the scenario `gpu` run; none for all.
        soak_ns: How long `soak` goes on.
        tactic_sources: Passed on to TensorRT, by its names with commas.
    """

    seed: int = 0
    quick: bool = False
    gpu_parts: tuple[str, ...] = ()
    soak_ns: int = 7200 * NS_PER_S
    tactic_sources: str | None = None


@dataclass(slots=True, kw_only=True)
class ScenarioContext:
    """Context of one scenario. On the Trio thread only.

    Attributes:
        folder: Its own, empty at the start, and removed after it.
        report: Takes each finding as soon as it is known.
        device: What it runs on beside the processor; empty where that is nothing.
    """

    scenario: str
    settings: StressSettings
    folder: Path
    report: Callable[[Finding], None]
    part: str = WHOLE
    device: str = ""
    _checked: Counter[str] = field(default_factory=Counter)
    _broken: Counter[str] = field(default_factory=Counter)

    @property
    def quick(self) -> bool:
        """True where little is to be done."""
        return self.settings.quick

    def random(self, name: object = "") -> random.Random:
        """Return the random numbers of one of its tasks: the same at each run with the same seed."""
        return random.Random(f"{self.settings.seed} {self.scenario} {name}")  # noqa: S311 # chooses instants, no secrets

    def of_part(self, part: str) -> ScenarioContext:
        """Return a context for one part of the scenario, with counts of its own."""
        return replace(self, part=part, _checked=Counter(), _broken=Counter())

    def check(self, promise: str, step: str, *, held: bool, **figures: Fact) -> bool:
        """Report whether a promise held at one step; returns `held`."""
        self._checked[promise] += 1
        self._broken[promise] += not held
        self._report(promise, step=step, held=held, figure="", figures=figures)
        return held

    def conclude(self, promise: str, figure: str, **figures: Fact) -> None:
        """Report whether a promise held at every step; where there was none, that it was not tried."""
        steps, broken = self._checked[promise], self._broken[promise]
        if not steps:
            self.skip(promise, "it did not come to it")
            return
        figures = {"steps": steps, "broken": broken, **figures}
        self._report(promise, step=None, held=broken == 0, figure=figure, figures=figures)

    def report_figures(self, step: str, **figures: Fact) -> None:
        """Report figures that promise nothing."""
        self._report("", step=step, held=True, figure="", figures=figures)

    def skip(self, promise: str, reason: str) -> None:
        """Report that a promise could not be tried here."""
        self._report(promise, step=None, held=None, figure=reason, figures={})

    def _report(
        self, promise: str, *, step: str | None, held: bool | None, figure: str, figures: dict[str, Fact]
    ) -> None:
        seed = self.settings.seed
        self.report(
            Finding(
                scenario=self.scenario,
                part=self.part,
                seed=seed,
                step=step,
                promise=promise,
                held=held,
                figure=figure,
                figures=figures,
            )
        )
