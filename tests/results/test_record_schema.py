from __future__ import annotations

import json
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from asyncbench.results.record import record_schema

PUBLISHED = Path(__file__).parents[2] / "docs" / "record.schema.json"


@pytest.fixture(scope="module")
def validator():
    Draft202012Validator.check_schema(record_schema())
    return Draft202012Validator(record_schema())


def test_the_published_schema_is_that_of_the_types():
    published = PUBLISHED.read_text()

    assert published == json.dumps(record_schema(), indent=2) + "\n", (
        "write it anew: python -c 'import json; from asyncbench.results.record import record_schema; "
        "print(json.dumps(record_schema(), indent=2))' > docs/record.schema.json"
    )


def test_golden_lines_are_valid(validator, golden_path):
    for line in golden_path.read_bytes().splitlines():
        validator.validate(json.loads(line))


def test_lines_with_little_in_them_are_valid(validator, make_header, make_cell, make_trailer, lines_of):
    for line in lines_of(make_header(), make_cell(0), make_trailer()).splitlines():
        validator.validate(json.loads(line))


@pytest.mark.parametrize(
    "change",
    [
        {"status": "fine"},
        {"batch": 0},
        {"kind": "header"},
        {"schema_version": 2},
        {"sweep_id": None},
        {"latency": None},
    ],
)
def test_a_cell_that_the_types_refuse_is_not_valid(validator, golden_path, change):
    cell = json.loads(golden_path.read_bytes().splitlines()[1])

    assert not validator.is_valid({**cell, **change})


def test_a_key_that_is_left_out_is_not_valid_but_one_of_tomorrow_is(validator, golden_path):
    cell = json.loads(golden_path.read_bytes().splitlines()[1])

    assert all(not validator.is_valid({name: value for name, value in cell.items() if name != key}) for key in cell)
    assert validator.is_valid({**cell, "of_tomorrow": 1})


def test_every_key_of_a_cell_but_the_axes_is_explained_where_its_name_does_not_say_all():
    properties = record_schema()["$defs"]["CellRecord"]["properties"]

    assert {"index", "batch", "concurrency", "cpu_s_per_item", "switch_ns", "facts"} <= {
        name for name, described in properties.items() if "description" in described
    }
