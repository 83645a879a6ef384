"""Quantities as people write them, to integers with a unit in their name, and back."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal

from asyncbench.errors import BadInputError

_DURATION_NS = {
    "ns": 1,
    "us": 1_000,
    "µs": 1_000,  # micro sign, U+00B5
    "μs": 1_000,  # Greek mu, U+03BC: what some keyboards type
    "ms": 1_000_000,
    "s": 1_000_000_000,
    "m": 60_000_000_000,
    "min": 60_000_000_000,
    "h": 3_600_000_000_000,
}
_SIZE_BYTES = {
    "b": 1,
    "kb": 10**3,
    "mb": 10**6,
    "gb": 10**9,
    "tb": 10**12,
    "kib": 2**10,
    "mib": 2**20,
    "gib": 2**30,
    "tib": 2**40,
}
_RATIO = {"%": Decimal("0.01")}
_SHOWN_CHARACTERS = 40
_LARGEST = 2**63 - 1  # what numpy's int64 and the record readers of other languages hold
_NUMBER = r"[0-9]{1,30}(?:\.[0-9]{1,30})?"
_QUANTITY = re.compile(rf"\s*({_NUMBER})\s*([A-Za-zµμ]*|%)\s*")


def _pattern(units: Iterable[str]) -> str:
    """Return the regular expression of a number with one of these units, in small or capital letters."""
    spelt = ("".join(f"[{one}{one.upper()}]" if one.isascii() else one for one in unit) for unit in units)
    return rf"\s*{_NUMBER}\s*(?:{'|'.join(spelt)})\s*"


# For the JSON schema: what matches is parsed, unless it is too large. None of them begins with ^ or ends with $.
DURATION_PATTERN = _pattern(_DURATION_NS)
SIZE_PATTERN = _pattern(_SIZE_BYTES)


@dataclass(frozen=True, slots=True)
class Duration:
    """A duration as it was written, `1.5s`, and what that is."""

    text: str
    ns: int

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True)
class Size:
    """A size as it was written, `256MiB`, and what that is."""

    text: str
    bytes: int

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True)
class Ratio:
    """A percentage as it was written, `0.5%`, and what that is of 1."""

    text: str
    ratio: float

    def __str__(self) -> str:
        return self.text


def parse_duration_ns(text: str) -> int:
    """Return nanoseconds of `20ms`, `1.5s`, `250us`, `2m`. A number without a unit is refused.

    Raises:
        BadInputError: The text is not a duration.
    """
    return int(_parse(text, _DURATION_NS, what="a duration", example="20ms, 1.5s or 2m"))


def parse_size_bytes(text: str) -> int:
    """Return bytes of `8GiB`, `256MiB`, `1.5GB`, `4096B`. A number without a unit is refused.

    Raises:
        BadInputError: The text is not a size.
    """
    return int(_parse(text, _SIZE_BYTES, what="a size", example="8GiB, 256MiB or 4096B"))


def parse_ratio(text: str) -> float:
    """Return 0.05 of `5%`. A number without the sign is refused.

    Raises:
        BadInputError: The text is not a percentage.
    """
    return float(_parse(text, _RATIO, what="a percentage", example="5% or 0.5%"))


def _parse(text: str, factors: Mapping[str, int | Decimal], *, what: str, example: str) -> Decimal:
    match = _QUANTITY.fullmatch(text)
    unit = match.group(2).lower() if match else ""
    if match is None or unit not in factors:
        raise BadInputError(f"{_shortened(text)!r} is not {what}", remedy=f"write it with its unit, such as {example}")
    value = Decimal(match.group(1)) * factors[unit]
    if value > _LARGEST:
        raise BadInputError(f"{_shortened(text)!r} is too large", remedy=f"write less, such as {example}")
    return value


def format_duration(duration_ns: float) -> str:
    """Return a duration with three significant digits: `812 ns`, `20.5 ms`, `1.20 s`, `3m 20s`."""
    if duration_ns < 0:
        return f"-{format_duration(-duration_ns)}"
    if duration_ns >= 120 * 10**9:
        minutes, seconds = divmod(round(duration_ns / 10**9), 60)
        hours, minutes = divmod(minutes, 60)
        return f"{hours}h {minutes:02d}m" if hours else f"{minutes}m {seconds:02d}s"
    for unit, factor in (("s", 10**9), ("ms", 10**6), ("µs", 10**3)):
        if duration_ns >= factor * 0.9995:  # from here on three digits round up to 1.00 of this unit
            return f"{_three_digits(duration_ns / factor)} {unit}"
    return f"{duration_ns:.0f} ns"


def format_size(size_bytes: float) -> str:
    """Return a size with three significant digits (four from 1000 to 1023) in binary units: `512 B`, `1.50 GiB`."""
    for unit, factor in (("TiB", 2**40), ("GiB", 2**30), ("MiB", 2**20), ("KiB", 2**10)):
        if abs(size_bytes) >= factor - factor / 2048:  # from here on 1024 of the smaller unit would be shown
            return f"{_three_digits(size_bytes / factor)} {unit}"
    return f"{size_bytes:.0f} B"


def format_number(value: float) -> str:
    """Return a number with three significant digits and never with an exponent: `0.5`, `12.3`, `1,235`."""
    if value < 0:
        return f"-{format_number(-value)}"
    if value >= 999.5:  # noqa: PLR2004 - rounding adds a digit there
        return f"{value:,.0f}"
    if 0 < value < 0.0001:  # noqa: PLR2004 - below that Python writes an exponent
        return "less than 0.0001"
    return f"{value:.3g}"


def counted(count: int, noun: str, plural: str = "") -> str:
    """Return `1 cell`, `2 cells`, `1,024 cells`; `plural` is for nouns that take more than an s."""
    return f"{count:,} {noun if count == 1 else plural or f'{noun}s'}"


def _three_digits(value: float) -> str:
    decimals = 2 if abs(value) < 9.995 else 1 if abs(value) < 99.95 else 0  # noqa: PLR2004 - rounding adds a digit there
    return f"{value:.{decimals}f}"


def _shortened(text: str) -> str:
    return text if len(text) <= _SHOWN_CHARACTERS else f"{text[:_SHOWN_CHARACTERS]}..."
