"""Validation errors of pydantic as one line for people: what, where, and the remedy."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from inspect import isclass
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails, PydanticCustomError

from asyncbench.errors import BadInputError

_SHOWN_CHARACTERS = 60
_CUSTOM = "bad_input"
_SHOULD = re.compile(r"\w+ should (be )?(.*)", re.DOTALL)
_EXPECTED = {
    "string_type": "a text in quotes",
    "string_unicode": "text in UTF-8",
    "int_type": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "model_type": "an object in braces",
    "dict_type": "an object in braces",
    "tuple_type": "a list in brackets",
    "list_type": "a list in brackets",
}

Path = tuple[int | str, ...]


def as_custom_error(error: BadInputError) -> PydanticCustomError:
    """Return what a pydantic validator must raise, so that the message and the remedy survive."""
    return PydanticCustomError(_CUSTOM, "{message}", {"message": error.message, "remedy": error.remedy})


def quoted_key(path: Path) -> str:
    """Return the name of a key of a file: `key "stop.min"`, `key "precision[0]"`."""
    steps = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in path)
    return f"key {shown(steps.removeprefix('.'))}"


def shown(value: object) -> str:
    """Return a value as JSON writes it, on one line and not too long."""
    try:
        text = json.dumps(value, default=repr)
    except (TypeError, ValueError):  # keys that JSON cannot have, or a value inside itself
        text = " ".join(repr(value).split())
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}..."


def did_you_mean(name: str, known: Sequence[str], *, named: Callable[[str], str] = str) -> str:
    """Return the beginning of a remedy, `did you mean resnet50? `, for a name close to a known one, else nothing.

    Args:
        named: How the reader knows one of `known`.
    """
    close = difflib.get_close_matches(name, known, n=1)
    return f"did you mean {named(close[0])}? " if close else ""


def bad_input(
    error: ValidationError,
    *,
    source: str,
    model: type[BaseModel],
    name_of: Callable[[Path], str] = quoted_key,
) -> BadInputError:
    """Return the first problem as an error of ours, and how many more there are.

    Args:
        source: What was read, such as the name of the file; it starts the line. Empty where the keys say it all.
        model: What the values were validated against: known keys come from it.
        name_of: How the reader knows a key.
    """
    problems = error.errors(include_url=False)
    message, remedy = _message_and_remedy(problems[0], model=model, name_of=name_of)
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    prefix = f"{source}: " if source else ""
    return BadInputError(f"{prefix}{message}{more}", remedy=remedy)


def _message_and_remedy(
    problem: ErrorDetails, *, model: type[BaseModel], name_of: Callable[[Path], str]
) -> tuple[str, str]:
    path, context = problem["loc"], problem.get("ctx", {})
    name = name_of(path) if path else "it"
    if problem["type"] == _CUSTOM:
        return f"{name}: {context['message']}" if path else context["message"], context["remedy"]
    if problem["type"] == "extra_forbidden":
        return f"{name} is unknown", _suggestion(path, model=model, name_of=name_of)
    if problem["type"] == "missing":
        return f"{name} is missing", "add it"
    return f"{name} is {shown(problem['input'])}", _expectation(problem)


def _expectation(problem: ErrorDetails) -> str:
    if problem["type"] == "string_too_short":
        return "name one, or leave it out"
    if problem["type"] in _EXPECTED:
        return f"make it {_EXPECTED[problem['type']]}"
    match = _SHOULD.fullmatch(problem["msg"])
    if match is None:
        return problem["msg"]
    expected = match[2].replace("'", '"')
    return f"make it {expected}" if match[1] else f"it should {expected}"


def _suggestion(path: Path, *, model: type[BaseModel], name_of: Callable[[Path], str]) -> str:
    known = _known_keys(model, path[:-1])
    inner = {key: (outer, key) for outer in known for key in _known_keys(model, (*path[:-1], outer))}
    for paths in ({key: (key,) for key in known}, inner):
        hint = did_you_mean(str(path[-1]), tuple(paths), named=lambda key: name_of((*path[:-1], *paths[key])))  # noqa: B023
        if hint:
            return hint.rstrip()
    return f"the keys here are {', '.join(known)}" if known else "remove it"


def _known_keys(model: type[BaseModel], path: Path) -> Sequence[str]:
    owner: type[BaseModel] | None = model
    for step in path:
        if owner is not None and isinstance(step, str):
            owner = nested_model(_keys(owner).get(step))
    return list(_keys(owner)) if owner is not None else []


def _keys(model: type[BaseModel]) -> Mapping[str, Any]:
    return {field.alias or name: field.annotation for name, field in model.model_fields.items()}


def nested_model(annotation: object) -> type[BaseModel] | None:
    """Return the model that a field of this type holds, None where it holds none."""
    if isclass(annotation) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for part in get_args(annotation) if (found := nested_model(part))), None)
