"""Types of the configuration's fields: what a file may hold, what it becomes, and its JSON schema."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, TypeVar

from pydantic import BeforeValidator, Field, PlainSerializer, PlainValidator, WithJsonSchema
from pydantic_core import PydanticKnownError

from asyncbench.errors import BadInputError
from asyncbench.sweep.axis import AXIS_PATTERN, MAX_VALUE, MAX_VALUES, check_axis, read_axis
from asyncbench.sweep.cell import Precision
from asyncbench.sweep.latency_limit import LIMIT_PERCENTILES, LatencyLimit, parse_latency_limit
from asyncbench.sweep.problems import as_custom_error, shown
from asyncbench.units import (
    DURATION_PATTERN,
    SIZE_PATTERN,
    Duration,
    Ratio,
    Size,
    parse_duration_ns,
    parse_ratio,
    parse_size_bytes,
)

AUTO_WARMUP = "auto"
NO_WARMUP = "none"

_AXIS_REMEDY = 'write a whole number, a list of them or a text such as "1..8"'
_NOT_ZERO = r"(?=[\s0-9.]*[1-9])"
_LIMIT_PATTERN = (
    r"^\s*((NAMES)\s*=)?".replace("NAMES", "|".join(f"[pP]{re.escape(name[1:])}" for name in LIMIT_PERCENTILES))
    + _NOT_ZERO
    + DURATION_PATTERN
    + "$"
)
_RATIO_PATTERN = rf"^{_NOT_ZERO}\s*0{{0,27}}([0-9]{{1,2}}(\.[0-9]{{1,30}})?|100(\.0{{1,30}})?)\s*%\s*$"
_PRECISION_PATTERN = r"^\s*(NAMES)(\s*,\s*(NAMES))*\s*$".replace("NAMES", "|".join(Precision))
_NAMES_PATTERN = r"^\s*[^,\s][^,]*(,\s*[^,\s][^,]*)*$"

S = TypeVar("S")
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Flag:
    """Mark of a field that an option of the command line sets; the field's description is what `--help` says of it.

    Attributes:
        names: Of the option; none for `--` and the key.
    """

    names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class IsLocation:
    """Mark of a text that names a file or a folder."""


def validator(parse: Callable[[S], T]) -> Callable[[S], T]:
    """Return the function with its refusals in pydantic's words."""

    def validate(value: S) -> T:
        try:
            return parse(value)
        except BadInputError as error:
            raise as_custom_error(error) from error

    return validate


def _reader(
    kind: type[T],
    parse: Callable[[str], T],
    *,
    accepts: Callable[[T], bool] = lambda _: True,
    remedy: str = "",
) -> PlainValidator:
    """Return a validator that reads a text once; a value that was read before is taken as it is.

    Args:
        accepts: What the field takes of what can be read.
        remedy: For the rest.
    """

    def read(value: object) -> T:
        if isinstance(value, str):
            value = parse(value)
        if not isinstance(value, kind):
            raise PydanticKnownError("string_type")
        if not accepts(value):
            raise BadInputError(f"{str(value)!r} is out of range", remedy=remedy)
        return value

    return PlainValidator(validator(read))


_AS_WRITTEN = PlainSerializer(str, return_type=str)


@dataclass(frozen=True, slots=True)
class WarmupTime:
    """A warm-up as it was written, and its nanoseconds: 0 for `none`, and None for `auto`, until steady."""

    text: str
    ns: int | None

    def __str__(self) -> str:
        return self.text


def parse_warmup_ns(text: str) -> int | None:
    """Return nanoseconds, 0 for `none` and None for `auto`.

    Raises:
        BadInputError: The text is none of these and not a duration.
    """
    if text in (AUTO_WARMUP, NO_WARMUP):
        return None if text == AUTO_WARMUP else 0
    try:
        return parse_duration_ns(text)
    except BadInputError as error:
        raise BadInputError(error.message, remedy=f"{error.remedy}, or auto or none") from error


def _axis_values(value: object) -> tuple[int, ...]:
    """Return the values of an axis that is a text, a number or a list of numbers."""
    if isinstance(value, str):
        return read_axis(value)
    items = value if isinstance(value, list | tuple) else [value]
    numbers = [item for item in items if type(item) is int]  # not isinstance: true is an int
    if len(numbers) < len(items):
        raise BadInputError(f"{shown(value)} is not an axis", remedy=_AXIS_REMEDY)
    return check_axis(numbers)


def _names(value: object) -> object:
    """Return a text split at its commas, without repetitions; leave what has a wrong type to pydantic."""
    names = [name.strip() for name in value.split(",")] if isinstance(value, str) else value
    if not isinstance(names, list | tuple):
        return value
    return tuple(dict.fromkeys(names)) if all(isinstance(name, str) for name in names) else tuple(names)


_AXIS_NUMBER = {"type": "integer", "minimum": 1, "maximum": MAX_VALUE}

Axis = Annotated[
    tuple[int, ...],
    BeforeValidator(validator(_axis_values)),
    WithJsonSchema(
        {
            "anyOf": [
                _AXIS_NUMBER,
                {"type": "array", "items": _AXIS_NUMBER, "minItems": 1},
                {"type": "string", "pattern": AXIS_PATTERN},
            ],
            "examples": [4, [1, 2, 4], "1..8", "1..64:x2", "1..32:+4", "1,2,4..8"],
            "$comment": f"At most {MAX_VALUES} different values.",
        }
    ),
]

Precisions = Annotated[
    tuple[Annotated[Precision, Field(strict=False)], ...],
    BeforeValidator(_names),
    Field(min_length=1),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "pattern": _PRECISION_PATTERN},
                {"type": "array", "items": {"enum": [str(precision) for precision in Precision]}, "minItems": 1},
            ]
        }
    ),
]

Name = Annotated[str, Field(min_length=1)]

Location = Annotated[Name, IsLocation()]
"""A file or a folder; a relative one in a configuration file starts where that file is."""

Names = Annotated[
    tuple[Name, ...],
    BeforeValidator(_names),
    Field(min_length=1),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "pattern": _NAMES_PATTERN},
                {"type": "array", "items": {"type": "string", "minLength": 1}, "minItems": 1},
            ]
        }
    ),
]

DurationText = Annotated[
    Duration,
    _reader(
        Duration,
        lambda text: Duration(text, parse_duration_ns(text)),
        accepts=lambda duration: duration.ns > 0,
        remedy="write more than 0ns",
    ),
    _AS_WRITTEN,
    WithJsonSchema(
        {"type": "string", "pattern": f"^{_NOT_ZERO}{DURATION_PATTERN}$", "examples": ["20ms", "1.5s", "2m"]}
    ),
]

DurationOrNothingText = Annotated[
    Duration,
    _reader(Duration, lambda text: Duration(text, parse_duration_ns(text))),
    _AS_WRITTEN,
    WithJsonSchema({"type": "string", "pattern": f"^{DURATION_PATTERN}$", "examples": ["2ms", "0ns"]}),
]

LatencyLimitText = Annotated[
    LatencyLimit,
    _reader(
        LatencyLimit,
        parse_latency_limit,
        accepts=lambda limit: limit.limit_ns > 0,
        remedy="write more than 0ns",
    ),
    _AS_WRITTEN,
    WithJsonSchema({"type": "string", "pattern": _LIMIT_PATTERN, "examples": ["p99=20ms", "p99.9=1s", "20ms"]}),
]

SizeText = Annotated[
    Size,
    _reader(
        Size,
        lambda text: Size(text, parse_size_bytes(text)),
        accepts=lambda size: size.bytes > 0,
        remedy="write more than 0B",
    ),
    _AS_WRITTEN,
    WithJsonSchema({"type": "string", "pattern": f"^{_NOT_ZERO}{SIZE_PATTERN}$", "examples": ["1GiB", "256MiB"]}),
]

SizeOrNothingText = Annotated[
    Size,
    _reader(Size, lambda text: Size(text, parse_size_bytes(text))),
    _AS_WRITTEN,
    WithJsonSchema({"type": "string", "pattern": f"^{SIZE_PATTERN}$", "examples": ["256MiB", "0B"]}),
]

WarmupText = Annotated[
    WarmupTime,
    _reader(WarmupTime, lambda text: WarmupTime(text, parse_warmup_ns(text))),
    _AS_WRITTEN,
    WithJsonSchema(
        {
            "type": "string",
            "pattern": f"^({AUTO_WARMUP}|{NO_WARMUP}|{DURATION_PATTERN})$",
            "examples": [AUTO_WARMUP, NO_WARMUP, "2s"],
        }
    ),
]

RatioText = Annotated[
    Ratio,
    _reader(
        Ratio,
        lambda text: Ratio(text, parse_ratio(text)),
        accepts=lambda ratio: 0 < ratio.ratio <= 1,
        remedy="write 0.01% to 100%",
    ),
    _AS_WRITTEN,
    WithJsonSchema({"type": "string", "pattern": _RATIO_PATTERN, "examples": ["1%", "0.5%"]}),
]
