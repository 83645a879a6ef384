"""The key `load`: which load a sweep puts on its lanes, and that load's own options."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    JsonValue,
    SerializerFunctionWrapHandler,
    model_serializer,
    model_validator,
)
from pydantic_core import CoreSchema

from asyncbench.errors import BadInputError
from asyncbench.sweep.problems import as_custom_error, shown

CLOSED = "closed"
"""The load that starts the next inference when the last one is done."""

_NAME_PATTERN = r"^[A-Za-z0-9_]([A-Za-z0-9_.-]{0,98}[A-Za-z0-9_])?$"


def _check_name(name: str) -> str:
    if not re.fullmatch(_NAME_PATTERN, name):
        error = BadInputError(f"{shown(name)} is no name of a load", remedy="write letters, digits and any of _ . -")
        raise as_custom_error(error)
    return name


class LoadConfig(BaseModel):
    """A load by its name, alone as a text, or as `kind` of an object whose other keys are the load's own options.

    Which loads there are, and what they take, only the bench process knows.
    """

    model_config = ConfigDict(strict=True, extra="allow", frozen=True)

    __pydantic_extra__: dict[str, JsonValue] = Field(init=False)

    kind: Annotated[str, AfterValidator(_check_name)]

    @property
    def options(self) -> dict[str, JsonValue]:
        """The load's own options."""
        return dict(self.__pydantic_extra__)

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler, /
    ) -> dict[str, JsonValue]:
        """Return the schema of what may be written: a name, or an object."""
        name: dict[str, JsonValue] = {"type": "string", "pattern": _NAME_PATTERN}
        return {
            "anyOf": [name, {"type": "object", "properties": {"kind": name}, "required": ["kind"]}],
            "examples": [CLOSED],
            "$comment": "Other loads are those that installed packages offer as entry points of `asyncbench.loads`.",
        }

    @model_validator(mode="before")
    @classmethod
    def _from_name(cls, value: object) -> object:
        if isinstance(value, dict | LoadConfig):
            return value
        if not isinstance(value, str):
            remedy = "write its name in quotes, or an object in braces"
            raise as_custom_error(BadInputError(f"{shown(value)} is no load", remedy=remedy))
        return {"kind": _check_name(value)}

    @model_serializer(mode="wrap")
    def _as_written(self, serialize: SerializerFunctionWrapHandler) -> Any:  # noqa: ANN401 # what pydantic expects
        values: dict[str, Any] = serialize(self)
        return self.kind if not self.options else values


def merge_load(lower: object, upper: object) -> object:
    """Return `upper`, with the options of `lower` where it only names the same kind; both as they are written."""
    return lower if isinstance(lower, dict) and lower.get("kind") == upper else upper
