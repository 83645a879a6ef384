from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncbench.errors import BadInputError
from asyncbench.units import (
    counted,
    format_duration,
    format_number,
    format_size,
    parse_duration_ns,
    parse_ratio,
    parse_size_bytes,
)

WHOLE_NUMBERS = st.integers(min_value=0, max_value=10**6)
DURATION_UNITS_NS = {"ns": 1, "us": 10**3, "µs": 10**3, "μs": 10**3, "ms": 10**6, "s": 10**9, "m": 60 * 10**9}
SIZE_UNITS_BYTES = {"B": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "kB": 10**3, "MB": 10**6, "GB": 10**9}


def duration_or_refusal(text: str) -> int | BadInputError:
    try:
        return parse_duration_ns(text)
    except BadInputError as error:
        return error


@given(WHOLE_NUMBERS, st.sampled_from(sorted(DURATION_UNITS_NS)), st.sampled_from(["", " "]))
def test_a_duration_is_its_number_times_its_unit(number, unit, space):
    assert parse_duration_ns(f"{number}{space}{unit}") == number * DURATION_UNITS_NS[unit]


@given(WHOLE_NUMBERS, st.sampled_from(sorted(SIZE_UNITS_BYTES)))
def test_a_size_is_its_number_times_its_unit_whatever_the_case(number, unit):
    assert parse_size_bytes(f"{number}{unit.lower()}") == number * SIZE_UNITS_BYTES[unit]


@given(st.integers(min_value=0, max_value=2**63 - 1))
def test_nanoseconds_written_as_seconds_lose_nothing(duration_ns):
    text = f"{duration_ns // 10**9}.{duration_ns % 10**9:09d}s"

    assert parse_duration_ns(text) == duration_ns


@given(st.integers(min_value=0, max_value=100_00))
def test_a_percentage_is_a_hundredth_of_its_number(hundredths):
    assert parse_ratio(f"{hundredths // 100}.{hundredths % 100:02d}%") == hundredths / 10_000


@pytest.mark.parametrize(
    "text", ["", "5", "s", "-5s", "5 parsecs", "1e3s", "5 s s", "\u0665s", "nans", ".5s", "5.s", "5%"]
)
def test_what_is_not_a_duration_is_refused_with_an_example(text):
    with pytest.raises(BadInputError, match="is not a duration: write it with its unit, such as 20ms"):
        parse_duration_ns(text)


@pytest.mark.parametrize("text", ["", "5", "GiB", "-1B", "5s", "1 GiBB", "5%"])
def test_what_is_not_a_size_is_refused_with_an_example(text):
    with pytest.raises(BadInputError, match="is not a size: write it with its unit, such as 8GiB"):
        parse_size_bytes(text)


@pytest.mark.parametrize("text", ["", "5", "%", "-1%", "0.05", "5s"])
def test_what_is_not_a_percentage_is_refused_with_an_example(text):
    with pytest.raises(BadInputError, match="is not a percentage: write it with its unit, such as 5%"):
        parse_ratio(text)


@pytest.mark.parametrize(("parse", "text"), [(parse_duration_ns, "9223372037s"), (parse_size_bytes, "8388608TiB")])
def test_what_64_bits_cannot_hold_is_refused(parse, text):
    with pytest.raises(BadInputError, match="is too large"):
        parse(text)


@given(st.text())
def test_any_text_is_a_duration_or_is_refused_on_one_short_line(text):
    answer = duration_or_refusal(text)

    if isinstance(answer, BadInputError):
        assert str(answer).isprintable()
        assert len(str(answer)) < 500
    else:
        assert 0 <= answer < 2**63


def test_a_million_digits_are_refused_without_repeating_them():
    with pytest.raises(BadInputError) as refusal:
        parse_duration_ns("1" * 1_000_000 + "s")

    assert len(str(refusal.value)) < 200


@pytest.mark.parametrize(
    ("duration_ns", "text"),
    [
        (0, "0 ns"),
        (812, "812 ns"),
        (999.4, "999 ns"),
        (999.6, "1.00 µs"),
        (20_500_000, "20.5 ms"),
        (999_999, "1.00 ms"),
        (999_999_999, "1.00 s"),
        (1_200_000_000, "1.20 s"),
        (119_400_000_000, "119 s"),
        (200_000_000_000, "3m 20s"),
        (3_599_600_000_000, "1h 00m"),
        (90 * 3_600 * 10**9, "90h 00m"),
        (-1_500_000, "-1.50 ms"),
    ],
)
def test_a_duration_is_shown_as_people_write_it(duration_ns, text):
    assert format_duration(duration_ns) == text


@pytest.mark.parametrize(
    ("size_bytes", "text"),
    [
        (0, "0 B"),
        (512, "512 B"),
        (1023, "1023 B"),
        (1024, "1.00 KiB"),
        (2**20 - 1, "1.00 MiB"),
        (1000 * 2**20, "1000 MiB"),
        (3 * 2**29, "1.50 GiB"),
        (-(2**40), "-1.00 TiB"),
    ],
)
def test_a_size_is_shown_as_people_write_it(size_bytes, text):
    assert format_size(size_bytes) == text


@given(st.integers(min_value=1_000, max_value=120 * 10**9 - 1))
def test_a_shown_duration_has_three_digits_and_is_off_by_half_of_the_last_one_at_most(duration_ns):
    shown = format_duration(duration_ns)

    assert len(re.sub(r"\D", "", shown)) == 3
    assert abs(parse_duration_ns(shown) - duration_ns) <= duration_ns * 0.005 + 1


@given(st.integers(min_value=0, max_value=2**62))
def test_a_shown_size_is_off_by_half_a_percent_at_most(size_bytes):
    assert abs(parse_size_bytes(format_size(size_bytes)) - size_bytes) <= size_bytes * 0.0051 + 1


@given(st.floats(min_value=0, max_value=1e9))
def test_a_shown_duration_never_reaches_the_next_unit(duration_ns):
    number, _unit = format_duration(duration_ns).split(" ")

    assert float(number) < 1_000


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (0.5, "0.5"),
        (0.001, "0.001"),
        (1e-5, "less than 0.0001"),
        (12.345, "12.3"),
        (999.4, "999"),
        (999.6, "1,000"),
        (1e7, "10,000,000"),
        (-0.25, "-0.25"),
    ],
)
def test_a_number_is_shown_with_three_digits(value, text):
    assert format_number(value) == text


@given(st.floats(min_value=-1e15, max_value=1e15))
def test_a_shown_number_never_has_an_exponent(value):
    assert "e" not in format_number(value).replace("less", "")


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 cells"), (1, "1 cell"), (2, "2 cells"), (1_024, "1,024 cells"), (128_000, "128,000 cells")],
)
def test_one_of_a_thing_is_singular_and_any_other_count_plural(count, text):
    assert counted(count, "cell") == text


def test_a_plural_may_be_told():
    assert [counted(count, "batch", "batches") for count in (1, 2)] == ["1 batch", "2 batches"]
