"""What a scenario found: one JSON line per check, and one per promise at its end."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Final

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
        """Whether this is about all steps together."""
        return self.step is None

    def to_line(self) -> str:
        """Return the finding as one JSON line."""
        return json.dumps({"kind": "verdict" if self.is_verdict else "step", **asdict(self)}) + "\n"
