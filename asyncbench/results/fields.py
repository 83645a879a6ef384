"""Base class of everything that is written, and the kinds of value in it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, JsonValue

MAX_TEXT_CHARS = 4_000  # guess: several screens of a runtime's complaint, and far below the longest line


class RecordModel(BaseModel):
    """Base of all that is written. Unknown keys are ignored on reading; NaN and Infinity are refused."""

    # The docstrings under the fields become the descriptions in the published schema.
    model_config = ConfigDict(
        frozen=True,
        extra="ignore",
        allow_inf_nan=False,
        use_attribute_docstrings=True,
        json_schema_serialization_defaults_required=True,
    )


def _as_utf8(value: object) -> object:
    # Arguments and paths that are no UTF-8 arrive with lone surrogates, which JSON readers refuse.
    return value.encode("utf-8", "backslashreplace").decode() if isinstance(value, str) else value


def _as_short_utf8(value: object) -> object:
    text = _as_utf8(value)
    return text[: MAX_TEXT_CHARS - 1] + "…" if isinstance(text, str) and len(text) > MAX_TEXT_CHARS else text


def _as_json(value: object) -> object:
    """Return what JSON makes of free-form values: lists for tuples, clean text; NaN and Infinity are refused."""
    if isinstance(value, Mapping):
        return {_as_utf8(key): _as_json(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_as_json(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"{value} is no JSON number: write null, and the reason beside it")
    return _as_utf8(value)


Text = Annotated[str, BeforeValidator(_as_utf8)]
ShortText = Annotated[str, BeforeValidator(_as_short_utf8), Field(max_length=MAX_TEXT_CHARS)]
UtcText = Annotated[str, Field(pattern=r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}Z$")]
Facts = Annotated[dict[str, JsonValue], BeforeValidator(_as_json)]
