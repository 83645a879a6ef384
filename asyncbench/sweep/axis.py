"""An axis of the sweep: `1,2,4..8` or `1..64:x2` to numbers in that order, and back."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from asyncbench.errors import BadInputError

MAX_VALUE = 1_000_000
MAX_VALUES = 10_000
_WHOLE = r"0*([1-9][0-9]{0,5}|1000000)"
_FACTOR = r"0*([2-9]|[1-9][0-9]{1,5}|1000000)"
AXIS_PATTERN = r"^\s*ITEM(\s*,\s*ITEM)*\s*$".replace("ITEM", rf"{_WHOLE}(\.\.{_WHOLE}(:(x{_FACTOR}|\+{_WHOLE}))?)?")
"""For the JSON schema: what matches is an axis, unless a range runs backwards or has too many values."""

_SHOWN_CHARACTERS = 40
_ITEM = re.compile(r"([0-9]+)(?:\.\.([0-9]+)(?::([x+])([0-9]+))?)?")
_REMEDY = "write whole numbers from 1, such as 4 or 1,2,4 or 1..8 or 1..64:x2 or 1..32:+4"


def read_axis(text: str) -> tuple[int, ...]:
    """Return the values of `4`, `1,2,4`, `1..8`, `1..64:x2`, `1..32:+4` or a mixture by commas, in that order.

    What is there twice counts where it stands first. Both ends of a range always belong to it, the upper one also
    where the step would jump over it: `1..8:+3` is 1, 4, 7, 8.

    Raises:
        BadInputError: The text is not an axis.
    """
    values: dict[int, None] = {}
    for item in text.split(","):
        values.update(dict.fromkeys(_item_values(item.strip())))
    return check_axis(values)


def check_axis(values: Iterable[int]) -> tuple[int, ...]:
    """Return the values in their order, each once.

    Raises:
        BadInputError: There are none or more than `MAX_VALUES`, or one is not within 1 to `MAX_VALUE`.
    """
    unique = tuple(dict.fromkeys(values))
    if not unique:
        raise BadInputError("an axis without values", remedy=_REMEDY)
    if min(unique) < 1:
        raise BadInputError(f"{_shortened(str(min(unique)))} is below 1", remedy=_REMEDY)
    if max(unique) > MAX_VALUE:
        raise _too_large(str(max(unique)))
    if len(unique) > MAX_VALUES:
        raise _too_many(len(unique))
    return unique


def format_axis(values: Sequence[int]) -> str:
    """Return the shortest of our ways to write the values; `read_axis` gives them back, each once."""
    unique = tuple(dict.fromkeys(values))
    parts: list[str] = []
    start = 0
    while start < len(unique):
        part, length = _part_from(unique, start)
        parts.append(part)
        start += length
    return ",".join(parts)


def _item_values(item: str) -> Iterable[int]:
    match = _ITEM.fullmatch(item)
    if match is None:
        raise BadInputError(f"{_shortened(item)!r} is not a number or a range", remedy=_REMEDY)
    first, last = _number(match[1]), _number(match[2] or match[1])
    if first < 1:
        raise BadInputError(f"{item!r} starts below 1", remedy=_REMEDY)
    if last < first:
        suffix = f":{match[3]}{match[4]}" if match[3] else ""
        raise BadInputError(f"{item!r} runs backwards", remedy=f"write {last}..{first}{suffix}")
    return _range(first, last, kind=match[3] or "+", step=_number(match[4] or "1"))


def _range(first: int, last: int, *, kind: str, step: int) -> Iterable[int]:
    least = 2 if kind == "x" else 1
    if step < least:
        raise BadInputError(
            f"'{first}..{last}:{kind}{step}' never arrives", remedy=f"write {first}..{last}:{kind}{least}"
        )
    if kind == "x":
        return (*_powers(first, last, factor=step), last)
    if (last - first) // step >= MAX_VALUES:
        raise _too_many((last - first) // step + 1)
    return (*range(first, last, step), last)


def _powers(first: int, last: int, *, factor: int) -> Iterable[int]:
    value = first
    while value < last:
        yield value
        value *= factor


def _number(digits: str) -> int:
    # Before int(): Python refuses texts of more than 4,300 digits with an error of its own.
    if len(digits.lstrip("0")) > len(str(MAX_VALUE)) or int(digits) > MAX_VALUE:
        raise _too_large(digits)
    return int(digits)


def _too_large(digits: str) -> BadInputError:
    return BadInputError(f"{_shortened(digits)} is above {MAX_VALUE:,}", remedy=f"write {MAX_VALUE} or less")


def _too_many(count: int) -> BadInputError:
    return BadInputError(f"{count:,} values are more than {MAX_VALUES:,}", remedy="use a step, such as 1..1000000:x2")


def _shortened(text: str) -> str:
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}..."


def _part_from(values: Sequence[int], start: int) -> tuple[str, int]:
    """Return the text of the longest range that starts at `values[start]`, and how many values it covers."""
    first = values[start]
    if start + 1 == len(values) or values[start + 1] < first:
        return str(first), 1
    step, factor = values[start + 1] - first, values[start + 1] // first
    steps = _run_length(values, start, step=step, factor=1)
    powers = _run_length(values, start, step=0, factor=factor)
    if powers > max(steps, 3):
        return f"{first}..{values[start + powers - 1]}:x{factor}", powers
    if steps > 2 + (step > 1):
        return f"{first}..{values[start + steps - 1]}" + (f":+{step}" if step > 1 else ""), steps
    return str(first), 1


def _run_length(values: Sequence[int], start: int, *, step: int, factor: int) -> int:
    end = start + 1
    while end < len(values) and values[end] == values[end - 1] * factor + step:
        end += 1
    return end - start
