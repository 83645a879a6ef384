"""Recognizes a network that we know in a file that somebody else wrote."""

from __future__ import annotations

from asyncbench.models.catalog import MODELS, ModelInfo
from asyncbench.models.inspection import ModelFacts

# ResNet-50 v1.5, which wants other pictures than v1, differs by 6 %.
_TOLERANCE_RATIO = 0.01


def identify(facts: ModelFacts) -> ModelInfo | None:
    """Return the network with the same input, the same outputs and, within 1 %, the same work; None if there is none.

    Weights and names do not matter: the same architecture takes the same pictures.
    """
    return next((model for model in MODELS if _is(model, facts)), None)


def _is(model: ModelInfo, facts: ModelFacts) -> bool:
    if facts.multiply_accumulates is None or len(facts.inputs) != 1:
        return False
    takes_same = facts.inputs[0].item_shape == (3, model.input_size, model.input_size) and facts.inputs[
        0
    ].dtype.startswith("float")
    gives_same = sorted(output.item_shape for output in facts.outputs) == sorted(model.output_shapes)
    off = abs(facts.multiply_accumulates - model.multiply_accumulates)
    return takes_same and gives_same and off <= _TOLERANCE_RATIO * model.multiply_accumulates
