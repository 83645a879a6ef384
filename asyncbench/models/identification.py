"""Recognition of a packaged network in a file that somebody else wrote, and refusal of one that cannot be it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from asyncbench.errors import BadInputError
from asyncbench.models.catalog import MODELS, ModelInfo, find_model
from asyncbench.models.inspection import ModelFacts
from asyncbench.tensors import TensorSpec

# ResNet-50 v1.5, which wants other images than v1, differs by 6 %.
_TOLERANCE_RATIO = 0.01
_CHANNELS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownAs:
    """The built-in network that a file is taken for.

    Attributes:
        recognized: Whether the file has its architecture; else the user said so, and only inputs and outputs fit.
    """

    info: ModelInfo
    recognized: bool


def identify(facts: ModelFacts) -> ModelInfo | None:
    """Return the network with the same input, the same outputs and, within 1 %, the same work; None if there is none.

    Weights and names do not matter: the same architecture takes the same images.
    """
    return next((model for model in MODELS if _is(model, facts)), None)


def known_as(facts: ModelFacts, *, name: str | None) -> KnownAs | None:
    """Return what a file is taken for: by the name that the user gave it, else by its architecture.

    Args:
        name: Of a built-in network, which the user says that the file holds; None where none was given.

    Raises:
        BadInputError: There is no network of that name, or the file is not one: another network, or one that takes
            or gives something else.
    """
    recognized = identify(facts)
    if name is None:
        return KnownAs(info=recognized, recognized=True) if recognized else None
    named = find_model(name)
    if recognized is not None and recognized is not named:
        raise BadInputError(
            f"{facts.path} is {recognized.name}, not {named.name}", remedy=f"name it {recognized.name}, or nothing"
        )
    if difference := _difference(named, facts):
        raise BadInputError(
            f"{facts.path} is not {named.title}: {difference}",
            remedy=f"leave the name {named.name} out, or name the file that holds it",
        )
    return KnownAs(info=named, recognized=recognized is named)


def check_architecture(facts: ModelFacts, info: ModelInfo, *, remedy: str) -> None:
    """Refuse a file that is not that network, down to its architecture.

    Raises:
        BadInputError: It is another network.
    """
    recognized = identify(facts)
    if recognized is info:
        return
    alike = "its inputs and outputs are the same, its architecture is another one"
    found = f"it is {recognized.name}" if recognized else _difference(info, facts) or alike
    raise BadInputError(f"{facts.path} is not {info.title}: {found}", remedy=remedy)


def require_known(facts: ModelFacts, found: KnownAs | None, *, purpose: str) -> KnownAs:
    """Return what a file is taken for, where something is needed that only the built-in networks have.

    Args:
        purpose: What needs it and why, such as "accuracy needs to know what its outputs mean".

    Raises:
        BadInputError: It is none of them.
    """
    if found is not None:
        return found
    alike = [model.name for model in MODELS if not _difference(model, facts)]
    if alike:
        remedy = f"if it was trained for the same images and classes, name it: {' or '.join(alike)}"
    else:
        remedy = f"give a file of {', '.join(model.name for model in MODELS)}"
    raise BadInputError(f"{facts.path} is none of the built-in networks, and {purpose}", remedy=remedy)


def _is(model: ModelInfo, facts: ModelFacts) -> bool:
    if facts.multiply_accumulates is None or _difference(model, facts):
        return False
    off = abs(facts.multiply_accumulates - model.multiply_accumulates)
    return off <= _TOLERANCE_RATIO * model.multiply_accumulates


def _difference(model: ModelInfo, facts: ModelFacts) -> str | None:
    """Return how inputs or outputs of a file differ from the network's, or None where they are the same."""
    wanted = (_CHANNELS, model.input_size, model.input_size)
    if [spec.item_shape for spec in facts.inputs] != [wanted] or not _all_float(facts.inputs):
        return _unlike("input", facts.inputs, [wanted], model)
    shapes = sorted(spec.item_shape for spec in facts.outputs)
    if shapes != sorted(model.output_shapes) or not _all_float(facts.outputs):
        return _unlike("output", facts.outputs, model.output_shapes, model)
    return None


def _all_float(specs: Sequence[TensorSpec]) -> bool:
    return all(spec.dtype.startswith("float") for spec in specs)


def _unlike(what: str, found: Sequence[TensorSpec], wanted: Sequence[tuple[int, ...]], model: ModelInfo) -> str:
    are = f"its {what} is" if len(found) == 1 else f"its {what}s are"
    theirs = ", ".join(f"{_with_batch(spec.item_shape)} {spec.dtype}" for spec in found)
    ours = ", ".join(f"{_with_batch(shape)} float32" for shape in wanted)
    return f"{are} {theirs}, that of {model.name} {ours}"


def _with_batch(item_shape: tuple[int, ...]) -> str:
    return f"({', '.join(['N', *map(str, item_shape)])})"
