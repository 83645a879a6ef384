from __future__ import annotations

import pytest
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from asyncbench.errors import BadInputError
from asyncbench.sweep.options import flag_name
from asyncbench.sweep.problems import bad_input


class Inner(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")

    depth: int = Field(default=1, le=8)


class Outer(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")

    name: str = Field(min_length=1)
    rate: float = 1.0
    open: bool = True
    many: list[int] = []
    inner: Inner | None = None
    inners: list[Inner] = []
    renamed: int = Field(default=0, alias="$renamed")


def problem(values, **options) -> BadInputError:
    with pytest.raises(ValidationError) as refusal:
        Outer.model_validate(values)
    return bad_input(refusal.value, model=Outer, **options)


@pytest.mark.parametrize(
    ("values", "line"),
    [
        ({}, 'a.json: key "name" is missing: add it'),
        ({"name": 5}, 'a.json: key "name" is 5: make it a text in quotes'),
        ({"name": ""}, 'a.json: key "name" is "": name one, or leave it out'),
        ({"name": "\ud800"}, 'a.json: key "name" is "\\ud800": make it text in UTF-8'),
        ({"name": "n", "rate": "x"}, 'a.json: key "rate" is "x": make it a number'),
        ({"name": "n", "open": 1}, 'a.json: key "open" is 1: make it true or false'),
        ({"name": "n", "many": 1}, 'a.json: key "many" is 1: make it a list in brackets'),
        ({"name": "n", "many": [0, None]}, 'a.json: key "many[1]" is null: make it a whole number'),
        ({"name": "n", "inner": 3}, 'a.json: key "inner" is 3: make it an object in braces'),
        ({"name": "n", "inner": {"depth": 9}}, 'a.json: key "inner.depth" is 9: make it less than or equal to 8'),
        ({"name": "n", "inner": {"dept": 9}}, 'a.json: key "inner.dept" is unknown: did you mean key "inner.depth"?'),
        (
            {"name": "n", "inners": [{}, {"zzz": 9}]},
            'a.json: key "inners[1].zzz" is unknown: the keys here are depth',
        ),
        ({"name": "n", "renamed": 9}, 'a.json: key "renamed" is unknown: did you mean key "$renamed"?'),
        ({"name": 5, "rate": "x", "open": 3}, 'a.json: key "name" is 5 (and 2 more): make it a text in quotes'),
        (7, "a.json: it is 7: make it an object in braces"),
    ],
)
def test_the_first_problem_is_one_line_of_what_where_and_remedy(values, line):
    assert str(problem(values, source="a.json")) == line


def test_a_key_is_named_as_the_reader_knows_it():
    error = problem({"name": "n", "inner": {"depth": 9}}, source="", name_of=flag_name)

    assert str(error) == "--inner-depth is 9: make it less than or equal to 8"


def test_a_long_value_and_a_line_break_do_not_break_the_line():
    error = problem({"name": "n", "rate": "\n" * 10_000, "a\nkey": 1}, source="a.json")

    assert str(error).isprintable()
    assert len(str(error)) < 200
