"""The canary: every lane's output after a cell equals what one lane alone made of the same input."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from asyncbench.backends.base import AnyArray, Lane
from asyncbench.sweep.cell import Precision

# Of the largest reference value. The same engine on the same input is bit-equal or nearly so; scratch memory shared
# by mistake is off by the size of the values.
TOLERANCE_RATIO = 1e-3

# Of the largest reference value, against a runtime that computes in fp32. Guesses with a wide margin: a wrong network
# is off by the size of the values. int8 and fp8 depend on the calibration, so that only nonsense is caught.
PRECISION_TOLERANCE_RATIO = {
    Precision.FP32: 1e-3,
    Precision.FP16: 3e-2,
    Precision.BF16: 1e-1,
    Precision.INT8: 5e-1,
    Precision.FP8: 5e-1,
}

LabelCounter = Callable[[Mapping[str, AnyArray]], "tuple[int, int] | None"]


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputComparison:
    """What comparing the lanes' outputs with the reference gave.

    Attributes:
        mismatch: One line naming lane, output and values; None where all agree.
        labels_right: Items of the reference whose top class is right; None where nothing is known of the labels.
    """

    reference: str
    lanes: int
    max_abs_difference: float
    mismatch: str | None
    labels_right: int | None
    labels_counted: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeignReference:
    """What another runtime makes of the first items of every batch.

    Attributes:
        outputs: Each `(items, …)`.
        tolerance_ratio: Of the largest value, what the precision of the engine may be off.
    """

    runtime: str
    outputs: Mapping[str, AnyArray]
    tolerance_ratio: float


class OutputCheck:
    """Holds one reference per batch, made by a single lane with nothing else in flight.

    Args:
        count_labels: Counts right labels in reference outputs; returns None where labels are unknown.
        foreign: What the references themselves are held to; None where this runtime is its own reference.
    """

    def __init__(self, count_labels: LabelCounter, *, foreign: ForeignReference | None = None) -> None:
        self._count_labels = count_labels
        self._foreign = foreign
        self._references: dict[int, Mapping[str, AnyArray]] = {}
        self._foreign_gaps: dict[int, tuple[float, str | None]] = {}

    async def learn(self, batch: int, lane: Lane) -> None:
        """Run one inference on an idle lane, unless the reference of this batch is known."""
        if batch not in self._references:
            await lane.infer()
            reference = self._references[batch] = lane.read_outputs()
            if self._foreign is not None:
                self._foreign_gaps[batch] = _compare_with_foreign(self._foreign, reference)

    def compare(self, batch: int, lanes: Sequence[Lane]) -> OutputComparison:
        """Compare what every idle lane holds with the reference of this batch."""
        reference = self._references[batch]
        differences = [compare_outputs(reference, lane.read_outputs(), lane=lane.index) for lane in lanes]
        labels = self._count_labels(reference)
        foreign_difference, foreign_mismatch = self._foreign_gaps.get(batch, (None, None))
        return OutputComparison(
            reference=self._describe(foreign_difference),
            lanes=len(lanes),
            max_abs_difference=max(difference for difference, _ in differences),
            mismatch=next((text for _, text in differences if text), foreign_mismatch),
            labels_right=labels[0] if labels else None,
            labels_counted=labels[1] if labels else None,
        )

    def _describe(self, foreign_difference: float | None) -> str:
        text = "the same input through one lane alone"
        if self._foreign is None or foreign_difference is None:
            return text
        return f"{text}, which is within {foreign_difference:.3g} of {self._foreign.runtime}"


def _compare_with_foreign(foreign: ForeignReference, reference: Mapping[str, AnyArray]) -> tuple[float, str | None]:
    first_items = {name: reference[name][: len(expected)] for name, expected in foreign.outputs.items()}
    difference, text = compare_outputs(foreign.outputs, first_items, lane=0, tolerance_ratio=foreign.tolerance_ratio)
    return difference, f"{text}, against {foreign.runtime}" if text else None


def compare_outputs(
    reference: Mapping[str, AnyArray],
    outputs: Mapping[str, AnyArray],
    *,
    lane: int,
    tolerance_ratio: float = TOLERANCE_RATIO,
) -> tuple[float, str | None]:
    """Return the largest absolute difference, and a line about the first output that is off or not finite."""
    largest = 0.0
    for name, expected in reference.items():
        allowed = tolerance_ratio * max(float(np.max(np.abs(expected), initial=0.0)), 1e-6)
        gap = outputs[name].astype(np.float64) - expected.astype(np.float64)
        difference = float(np.max(np.abs(gap), initial=0.0))
        if not np.isfinite(difference):
            return 0.0, f"output {name!r} of lane {lane} is not finite"
        largest = max(largest, difference)
        if difference > allowed:
            return largest, f"output {name!r} of lane {lane} is off by {difference:.3g} (allowed: {allowed:.3g})"
    return largest, None
