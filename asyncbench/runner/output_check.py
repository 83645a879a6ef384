"""The canary: every lane's output after a cell equals what one lane alone made of the same input."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from asyncbench.backends.base import AnyArray, Lane

# Of the largest reference value. The same engine on the same input is bit-equal or nearly so; scratch memory shared
# by mistake is off by the size of the values.
TOLERANCE_RATIO = 1e-3

LabelCounter = Callable[[Mapping[str, AnyArray]], "tuple[int, int] | None"]


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputComparison:
    """What comparing the lanes' outputs with the reference gave.

    Attributes:
        mismatch: One line naming lane, output and values; None where all agree.
        labels_right: Items of the reference whose top class is right; None where nothing is known of the labels.
    """

    lanes: int
    max_abs_difference: float
    mismatch: str | None
    labels_right: int | None
    labels_counted: int | None


class OutputCheck:
    """Holds one reference per batch, made by a single lane with nothing else in flight.

    Args:
        count_labels: Counts right labels in reference outputs; returns None where labels are unknown.
    """

    def __init__(self, count_labels: LabelCounter) -> None:
        self._count_labels = count_labels
        self._references: dict[int, Mapping[str, AnyArray]] = {}

    async def learn(self, batch: int, lane: Lane) -> None:
        """Run one inference on an idle lane, unless the reference of this batch is known."""
        if batch not in self._references:
            await lane.infer()
            self._references[batch] = lane.read_outputs()

    def compare(self, batch: int, lanes: Sequence[Lane]) -> OutputComparison:
        """Compare what every idle lane holds with the reference of this batch."""
        reference = self._references[batch]
        differences = [compare_outputs(reference, lane.read_outputs(), lane=lane.index) for lane in lanes]
        labels = self._count_labels(reference)
        return OutputComparison(
            lanes=len(lanes),
            max_abs_difference=max(difference for difference, _ in differences),
            mismatch=next((text for _, text in differences if text), None),
            labels_right=labels[0] if labels else None,
            labels_counted=labels[1] if labels else None,
        )


def compare_outputs(
    reference: Mapping[str, AnyArray], outputs: Mapping[str, AnyArray], *, lane: int
) -> tuple[float, str | None]:
    """Return the largest absolute difference, and a line about the first output that is off or not finite."""
    largest = 0.0
    for name, expected in reference.items():
        allowed = TOLERANCE_RATIO * max(float(np.max(np.abs(expected), initial=0.0)), 1e-6)
        gap = outputs[name].astype(np.float64) - expected.astype(np.float64)
        difference = float(np.max(np.abs(gap), initial=0.0))
        if not np.isfinite(difference):
            return 0.0, f"output {name!r} of lane {lane} is not finite"
        largest = max(largest, difference)
        if difference > allowed:
            return largest, f"output {name!r} of lane {lane} is off by {difference:.3g} (allowed: {allowed:.3g})"
    return largest, None
