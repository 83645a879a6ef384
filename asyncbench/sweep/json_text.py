"""JSON as configurations need it: nothing that a record could not hold is taken, and nothing is lost silently."""

from __future__ import annotations

import json
import math
from typing import NoReturn

from asyncbench.errors import BadInputError

LARGEST_NUMBER = 2**63 - 1
_MAX_DIGITS = 20  # -2**63 with its sign


def parse_json(text: str, *, source: str) -> object:
    """Return what the text holds.

    Beyond the standard library's rules a repeated key, NaN, numbers outside 64 bits and half characters are refused.

    Args:
        source: The name of the file; it starts every message.

    Raises:
        BadInputError: The text is not JSON, or not such JSON.
    """

    def unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
        entries = dict(pairs)
        if len(entries) < len(pairs):
            raise _repeated_key(pairs, source=source)
        return entries

    try:
        document: object = json.loads(
            text, object_pairs_hook=unique, parse_constant=_refuse_number, parse_float=_finite, parse_int=_whole
        )
        json.dumps(document, ensure_ascii=False).encode()
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise BadInputError(f"{source}: {where}: not JSON", remedy=f"correct it: {error.msg}") from error
    except UnicodeEncodeError as error:
        raise BadInputError(f"{source}: half a character, such as \\ud800", remedy="write whole characters") from error
    except RecursionError as error:
        raise BadInputError(f"{source}: too many brackets inside each other", remedy="nest less") from error
    except ValueError as error:
        raise BadInputError(f"{source}: {error}", remedy="write a number that 64 bits can hold") from error
    return document


def _repeated_key(pairs: list[tuple[str, object]], *, source: str) -> BadInputError:
    keys = [key for key, _ in pairs]
    repeated = next(key for index, key in enumerate(keys) if key in keys[:index])
    return BadInputError(f"{source}: key {json.dumps(repeated)} is there twice", remedy="keep one of them")


def _whole(digits: str) -> int:
    number = int(digits) if len(digits) <= _MAX_DIGITS else 2**64
    return number if -LARGEST_NUMBER - 1 <= number <= LARGEST_NUMBER else _refuse_number(digits)


def _finite(digits: str) -> float:
    number = float(digits)
    return number if math.isfinite(number) else _refuse_number(digits)


def _refuse_number(digits: str) -> NoReturn:
    raise ValueError(f"{digits[:_MAX_DIGITS]} cannot be used as a number")
