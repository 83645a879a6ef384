"""Facts that the nodes of a model give: in which precision it computes, and which of its outputs may be random.

It imports no onnx: a simulated sweep needs none. `graph_reading` does.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class OutputsBehind:
    """Operators of a kind, and what is computed from them.

    Attributes:
        operators: Their names, sorted.
        outputs: Of the model, those that some of them have a part in.
    """

    operators: tuple[str, ...] = ()
    outputs: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class GraphFacts:
    """Facts that follow from the nodes of a model.

    Attributes:
        precision: In which most of its weights are computed with, such as `int8`; None where it has neither weights
            nor floats. See `graph_precision`.
        random: The operators of ONNX that draw random numbers.
        foreign: Operators that ONNX does not define, nor the model itself: nobody knows whether they do.
    """

    precision: str | None = None
    random: OutputsBehind = OutputsBehind()
    foreign: OutputsBehind = OutputsBehind()
