from __future__ import annotations

import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncbench.errors import BadInputError
from asyncbench.sweep.axis import AXIS_PATTERN, MAX_VALUE, MAX_VALUES, format_axis, read_axis

NUMBERS = st.integers(min_value=1, max_value=MAX_VALUE)


def values_or_refusal(text: str) -> tuple[int, ...] | BadInputError:
    try:
        return read_axis(text)
    except BadInputError as error:
        return error


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("4", (4,)),
        ("1,2,4", (1, 2, 4)),
        ("1..8", (1, 2, 3, 4, 5, 6, 7, 8)),
        ("1..64:x2", (1, 2, 4, 8, 16, 32, 64)),
        ("1..32:+4", (1, 5, 9, 13, 17, 21, 25, 29, 32)),
        ("1..8:+3", (1, 4, 7, 8)),
        ("3..50:x4", (3, 12, 48, 50)),
        ("5..5", (5,)),
        ("5..5:x2", (5,)),
        ("1,2,4..8", (1, 2, 4, 5, 6, 7, 8)),
        (" 8 , 2..4 , 3 ", (8, 2, 3, 4)),
        ("4,1", (4, 1)),
        ("8,1..16:x2", (8, 1, 2, 4, 16)),
        ("1..1000000:x10", (1, 10, 100, 1_000, 10_000, 100_000, 1_000_000)),
    ],
)
def test_an_axis_is_its_values_in_their_order_each_once_with_both_ends(text, values):
    assert read_axis(text) == values


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("8..1", "'8..1' runs backwards: write 1..8"),
        ("8..1:x2", "'8..1:x2' runs backwards: write 1..8:x2"),
        ("0", "'0' starts below 1: write whole numbers from 1"),
        ("0..4", "'0..4' starts below 1: write whole numbers from 1"),
        ("x", "'x' is not a number or a range: write whole numbers from 1, such as 4 or"),
        ("", "'' is not a number or a range"),
        ("1,,2", "'' is not a number or a range"),
        ("-4", "'-4' is not a number or a range"),
        ("2.5", "'2.5' is not a number or a range"),
        ("1-8", "'1-8' is not a number or a range"),
        ("1..", "'1..' is not a number or a range"),
        ("1..8:2", "'1..8:2' is not a number or a range"),
        ("٤", "'٤' is not a number or a range"),
        ("1..8:+0", "'1..8:+0' never arrives: write 1..8:+1"),
        ("1..8:x1", "'1..8:x1' never arrives: write 1..8:x2"),
        ("1..8:x0", "'1..8:x0' never arrives: write 1..8:x2"),
        ("1000001", "1000001 is above 1,000,000: write 1000000 or less"),
        ("1..99999999999", "99999999999 is above 1,000,000"),
        ("1..1000000", "1,000,000 values are more than 10,000: use a step"),
        ("1..6000,10001..16000", "12,000 values are more than 10,000: use a step"),
    ],
)
def test_what_is_no_axis_is_refused_with_the_text_and_the_remedy(text, message):
    with pytest.raises(BadInputError) as refusal:
        read_axis(text)

    assert str(refusal.value).startswith(message)


def test_a_million_digits_are_refused_without_repeating_them():
    with pytest.raises(BadInputError, match="is above 1,000,000") as refusal:
        read_axis("1" * 1_000_000)

    assert len(str(refusal.value)) < 200


def test_exactly_the_most_values_are_taken():
    assert len(read_axis(f"1..{MAX_VALUES}")) == MAX_VALUES


@given(st.text(alphabet="0123456789.,:x+ -", max_size=30) | st.text(max_size=30))
def test_any_text_is_an_axis_within_the_limits_or_is_refused_on_one_line(text):
    answer = values_or_refusal(text)

    if isinstance(answer, BadInputError):
        assert str(answer).isprintable()
        assert answer.remedy
    else:
        assert len(answer) == len(set(answer))
        assert 1 <= min(answer) <= max(answer) <= MAX_VALUE
        assert len(answer) <= MAX_VALUES
        assert re.search(AXIS_PATTERN, text)


@given(NUMBERS, NUMBERS, st.integers(min_value=2, max_value=50))
def test_each_step_multiplies_until_the_upper_end_is_jumped_over(one, other, factor):
    first, last = sorted((one, other))

    values = read_axis(f"{first}..{last}:x{factor}")

    assert (values[0], values[-1]) == (first, last)
    assert all(after == before * factor for before, after in pairwise(values[:-1]))


@given(NUMBERS, st.integers(min_value=0, max_value=5_000), st.integers(min_value=1, max_value=5_000))
def test_each_step_adds_until_the_upper_end_is_jumped_over(first, span, step):
    last = min(first + span, MAX_VALUE)

    values = read_axis(f"{first}..{last}:+{step}")

    assert values == tuple(sorted({*range(first, last + 1, step), last}))


VALUES = st.lists(st.integers(min_value=1, max_value=60) | NUMBERS, min_size=1, max_size=60)


@given(VALUES, st.data())
def test_numbers_keep_the_order_that_they_are_asked_for_in(values, data):
    again = data.draw(st.lists(st.sampled_from(values), max_size=3))

    assert read_axis(",".join(map(str, [*values, *again]))) == tuple(dict.fromkeys(values))


@given(VALUES | VALUES.map(sorted))
def test_values_survive_being_written_and_read(values):
    assert read_axis(format_axis(values)) == tuple(dict.fromkeys(values))


@given(NUMBERS, st.integers(min_value=0, max_value=3_000), st.integers(min_value=1, max_value=9))
def test_a_range_survives_being_written_and_read(first, count, step):
    values = tuple(value for value in range(first, first + count * step + 1, step) if value <= MAX_VALUE)

    assert read_axis(format_axis(values)) == values


@pytest.mark.parametrize(
    "text",
    [
        "4",
        "1,2",
        "4,1",
        "8,4,2,1",
        "9..11,1..3",
        "1..3",
        "1..8",
        "1..64:x2",
        "1..29:+4",
        "1,2,4..8",
        "1,2,4",
        "1..4,8,16",
        "1..1000000:x10",
        "5,7,9",
    ],
)
def test_the_compact_form_of_values_is_the_shortest_of_ours(text):
    assert format_axis(read_axis(text)) == text


def test_a_value_that_is_there_twice_is_written_once():
    assert format_axis([3, 1, 2, 2, 3]) == "3,1,2"
