"""Comparison of outputs: every lane's output after a cell equals what one lane alone made of the same input.

NaN equals NaN and an infinity its like: what a network makes of the input is not ours to judge, only whether all lanes
make the same of it. Networks that draw random numbers cannot be compared; that they do is seen by asking twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from asyncbench.backends.base import Lane
from asyncbench.models.graph_facts import GraphFacts
from asyncbench.results.cell_parts import OutputsChecked, Reason
from asyncbench.results.status import ReasonCode
from asyncbench.sweep.cell import Precision
from asyncbench.tensors import AnyArray

# Of the largest reference value. The same engine on the same input is bit-equal or nearly so; activation memory shared
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

_MIN_SCALE = 1e-6  # outputs that are all zero are held to rounding, too
_LARGEST = float(np.finfo(np.float64).max)  # a record takes no infinity

Float64Array = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]
LabelCounter = Callable[[Mapping[str, AnyArray]], "tuple[int, int] | None"]


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputComparison:
    """Outputs of the lanes against the reference.

    Attributes:
        checked: The block of the record.
        mismatch: One line naming lane, output and values; None where all agree.
        notes: What a reader must know of the outputs, and what changes no status.
    """

    checked: OutputsChecked
    mismatch: str | None
    notes: tuple[Reason, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeignReference:
    """Outputs of another runtime for the first items of every batch.

    Attributes:
        outputs: Each `(items, …)`.
        tolerance_ratio: Of the largest value, what the precision of the engine may be off.
    """

    runtime: str
    outputs: Mapping[str, AnyArray]
    tolerance_ratio: float


@dataclass(frozen=True, slots=True, kw_only=True)
class _Reference:
    """Outputs of one lane that ran alone.

    Attributes:
        random: Outputs that it made otherwise when it was asked again.
        foreign_difference: How far off another runtime it is; None where it was not held to any.
        foreign_mismatch: A line about that, where it is too far.
        notes: What a reader must know of it.
    """

    outputs: Mapping[str, AnyArray]
    random: frozenset[str]
    foreign_difference: float | None
    foreign_mismatch: str | None
    notes: tuple[Reason, ...]

    def without(self, names: frozenset[str]) -> Mapping[str, AnyArray]:
        """Return the outputs of other names."""
        return {name: array for name, array in self.outputs.items() if name not in names}


class OutputCheck:
    """Check of outputs against one reference per batch, made by a single lane with nothing else in flight.

    Args:
        count_labels: Counts right labels in reference outputs; returns None where labels are unknown.
        foreign: What the references themselves are held to; None where this runtime is its own reference.
        graph: Which outputs may be random.
    """

    def __init__(
        self, count_labels: LabelCounter, *, foreign: ForeignReference | None = None, graph: GraphFacts | None = None
    ) -> None:
        self._count_labels = count_labels
        self._foreign = foreign
        self._graph = graph or GraphFacts()
        self._references: dict[int, _Reference] = {}

    async def learn(self, batch: int, lane: Lane) -> None:
        """Run an inference on an idle lane, or two where outputs may be random, unless the reference is known."""
        if batch in self._references:
            return
        await lane.infer()
        outputs = lane.read_outputs()
        random: frozenset[str] = frozenset()
        if self._graph.random.outputs or self._graph.foreign.outputs:
            await lane.infer()
            random = self._random_outputs(outputs, lane.read_outputs())
        self._references[batch] = self._reference_of(outputs, random)

    def _reference_of(self, outputs: Mapping[str, AnyArray], random: frozenset[str]) -> _Reference:
        difference, mismatch = None, None
        left_out = random | self._graph.random.outputs
        if self._foreign is not None and not left_out.issuperset(self._foreign.outputs):
            difference, mismatch = _compare_with_foreign(self._foreign, outputs, left_out=left_out)
        return _Reference(
            outputs=outputs,
            random=random,
            foreign_difference=difference,
            foreign_mismatch=mismatch,
            notes=(*self._random_notes(random), *_not_finite_notes(outputs)),
        )

    def compare(self, batch: int, lanes: Sequence[Lane]) -> OutputComparison:
        """Compare what every idle lane holds with the reference of this batch."""
        reference = self._references[batch]
        found = [(lane.index, lane.read_outputs()) for lane in lanes]
        comparable = reference.without(reference.random)
        sure = reference.without(reference.random | self._graph.random.outputs)
        differences = [compare_outputs(comparable, outputs, lane=index) for index, outputs in found]
        mismatches = [compare_outputs(sure, outputs, lane=index)[1] for index, outputs in found]
        mismatches += [_other_shape(reference.outputs, outputs, lane=index) for index, outputs in found]
        mismatch = next((text for text in mismatches if text), reference.foreign_mismatch)
        notes = reference.notes
        if mismatch is None and any(text for _, text in differences):
            # Equal when it was asked twice, and not after that: rare draws, as of a Bernoulli with a small share.
            notes = (*self._random_notes(self._graph.random.outputs & comparable.keys()), *notes)
        labels = self._count_labels(reference.outputs)
        checked = OutputsChecked(
            reference=self._describe(reference),
            lanes=len(lanes),
            max_abs_difference=max(difference for difference, _ in differences) if comparable else None,
            labels_right=labels[0] if labels else None,
            labels_counted=labels[1] if labels else None,
        )
        return OutputComparison(checked=checked, mismatch=mismatch, notes=notes)

    def _random_outputs(self, first: Mapping[str, AnyArray], second: Mapping[str, AnyArray]) -> frozenset[str]:
        """Return the outputs that one lane alone made in two ways of one input.

        Behind an operator that draws random numbers any difference is by chance, and to be equal twice may be chance
        as well, as of a Bernoulli with a small share: all of them count. Others must be off by more than rounding.
        """
        random = self._graph.random.outputs
        drawn = any(not _equal(first[name], second[name]) for name in random if name in first)
        other = {name: first[name] for name in self._graph.foreign.outputs - random if name in first}
        strayed = {name for name in other if compare_outputs({name: first[name]}, second, lane=0)[1]}
        return (random if drawn else frozenset()) | strayed

    def _random_notes(self, random: frozenset[str]) -> tuple[Reason, ...]:
        if not random:
            return ()
        drawn = random & self._graph.random.outputs
        behind, has = (self._graph.random, "it has") if drawn else (self._graph.foreign, "it may have")
        outputs = ", ".join(repr(name) for name in sorted(random))
        text = (
            f"the network gives other outputs for the same input: {has} random operators "
            f"({', '.join(behind.operators)}), so of {outputs} only the shape was compared"
        )
        return (Reason(code=ReasonCode.RANDOM_OUTPUTS, text=text),)

    def _describe(self, reference: _Reference) -> str:
        if not reference.without(reference.random):
            return "the shapes alone: the network gives other outputs for the same input"
        text = "the same input through one lane alone"
        if self._foreign is None or reference.foreign_difference is None:
            return text
        return f"{text}, which is within {reference.foreign_difference:.3g} of {self._foreign.runtime}"


def _compare_with_foreign(
    foreign: ForeignReference, reference: Mapping[str, AnyArray], *, left_out: frozenset[str]
) -> tuple[float, str | None]:
    theirs = {name: array for name, array in foreign.outputs.items() if name not in left_out}
    first_items = {name: reference[name][: len(expected)] for name, expected in theirs.items()}
    return compare_outputs(
        theirs, first_items, lane=0, tolerance_ratio=foreign.tolerance_ratio, standard=foreign.runtime
    )


def compare_outputs(
    reference: Mapping[str, AnyArray],
    outputs: Mapping[str, AnyArray],
    *,
    lane: int,
    tolerance_ratio: float = TOLERANCE_RATIO,
    standard: str | None = None,
) -> tuple[float, str | None]:
    """Return the largest difference of finite values, and a line about the first output that is off.

    NaN equals NaN, an infinity the same infinity. What is allowed goes by the largest finite value of the reference.

    Args:
        standard: Who made the reference, where it was another runtime.
    """
    largest = 0.0
    for name, expected in reference.items():
        if text := _other_shape({name: expected}, outputs, lane=lane):
            return largest, text
        ours, theirs = outputs[name].astype(np.float64), expected.astype(np.float64)
        finite = np.isfinite(ours) & np.isfinite(theirs)
        if text := _not_alike(ours, theirs, finite, standard=standard or "the reference"):
            return largest, f"output {name!r} of lane {lane} {text}"
        allowed = tolerance_ratio * max(_largest(theirs[finite]), _MIN_SCALE)
        # Halves: the difference itself may overflow.
        difference = min(_largest(ours[finite] / 2 - theirs[finite] / 2) * 2, _LARGEST)
        largest = max(largest, difference)
        if difference > allowed:
            against = f", against {standard}" if standard else ""
            text = f"output {name!r} of lane {lane} is off by {difference:.3g} (allowed: {allowed:.3g}){against}"
            return largest, text
    return largest, None


def _not_alike(ours: Float64Array, theirs: Float64Array, finite: BoolArray, *, standard: str) -> str | None:
    """Return how NaN and infinities differ, or None where each is at its place."""
    alike = finite | (ours == theirs) | (np.isnan(ours) & np.isnan(theirs))
    if alike.all():
        return None
    appeared = ~alike & np.isfinite(theirs)
    if appeared.any():
        return f"is {_kinds(ours[appeared], ours.size)}, where {standard} is finite"
    vanished = ~alike & np.isfinite(ours)
    if vanished.any():
        return f"is finite, where {standard} is {_kinds(theirs[vanished], ours.size)}"
    return f"is {_kinds(ours[~alike], ours.size)}, where {standard} is {_kinds(theirs[~alike], ours.size)}"


def _kinds(values: Float64Array, size: int) -> str:
    """Return `NaN in 57 and infinite in 3 of 256 values`, of values that are not finite."""
    counts = {"NaN": int(np.isnan(values).sum()), "infinite": int(np.isinf(values).sum())}
    return f"{' and '.join(f'{kind} in {count}' for kind, count in counts.items() if count)} of {size} values"


def _not_finite_notes(outputs: Mapping[str, AnyArray]) -> Iterator[Reason]:
    for name, array in outputs.items():
        values = array.astype(np.float64)
        if not np.isfinite(values).all():
            text = f"output {name!r} is not finite ({_kinds(values, values.size)})"
            yield Reason(code=ReasonCode.NOT_FINITE_OUTPUTS, text=text)


def _other_shape(reference: Mapping[str, AnyArray], outputs: Mapping[str, AnyArray], *, lane: int) -> str | None:
    for name, expected in reference.items():
        if outputs[name].shape != expected.shape:
            return f"output {name!r} of lane {lane} has the shape {outputs[name].shape}, not {expected.shape}"
    return None


def _equal(one: AnyArray, other: AnyArray) -> bool:
    return np.array_equal(one.astype(np.float64), other.astype(np.float64), equal_nan=True)


def _largest(values: Float64Array) -> float:
    return float(np.max(np.abs(values), initial=0.0))
