from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from asyncbench.errors import OutputError
from asyncbench.results.cell_parts import Reason
from asyncbench.results.fields import MAX_TEXT_CHARS
from asyncbench.results.lines import (
    MAX_LINE_BYTES,
    BadLineError,
    NotJsonError,
    OtherVersionError,
    decode_line,
    encode_line,
)
from asyncbench.results.record import SCHEMA_VERSION, CellRecord, HeaderRecord, TrailerRecord
from asyncbench.results.status import Status

finite = st.floats(allow_nan=False, allow_infinity=False)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | finite | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


def test_golden_lines_are_read_and_written_again_byte_for_byte(golden_path):
    lines = golden_path.read_bytes().splitlines(keepends=True)

    records = [decode_line(line) for line in lines]

    assert [type(record) for record in records] == [HeaderRecord, CellRecord, CellRecord, TrailerRecord]
    assert [encode_line(record) for record in records] == lines


def test_the_first_golden_cell_has_a_value_for_every_key(golden_path):
    cell = json.loads(golden_path.read_bytes().splitlines()[1])

    assert cell.keys() == CellRecord.model_fields.keys()
    assert [key for key, value in cell.items() if value is None] == []


def test_kind_version_and_sweep_come_first_in_every_line(golden_path):
    for line in golden_path.read_bytes().splitlines():
        assert list(json.loads(line))[:3] == ["kind", "schema_version", "sweep_id"]


def test_what_is_unknown_is_written_as_null(make_cell):
    written = json.loads(encode_line(make_cell(status=Status.DOES_NOT_FIT)))

    assert written["throughput_items_s"] is None
    assert written["latency"] == dict.fromkeys(("service", "service_undisturbed", "enqueue", "gpu", "wait", "response"))
    assert written["memory"].pop("lane_changes") == []
    assert set(written["memory"].values()) == {None}


def test_readers_ignore_keys_that_they_do_not_know(make_cell):
    written = json.loads(encode_line(make_cell()))
    written["of_tomorrow"] = {"a": 1}
    written["latency"]["of_tomorrow"] = 1

    assert decode_line(json.dumps(written).encode()) == make_cell()


def test_readers_accept_a_line_of_this_version_that_lacks_an_optional_key(make_cell):
    written = json.loads(encode_line(make_cell()))
    del written["joules_per_item"]

    assert decode_line(json.dumps(written).encode()) == make_cell()


@given(facts=st.dictionaries(st.text(), json_values, max_size=4), text=st.text(st.characters()), ratio=finite)
def test_any_finite_record_survives_its_line(make_cell, facts, text, ratio):
    cell = make_cell(facts=facts, reasons=[Reason(code="x", text=text)], drift_ratio=ratio)

    line = encode_line(cell)

    assert line.count(b"\n") == 1
    assert decode_line(line) == cell


@given(text=st.text(st.characters(categories=["Cs", "Lu"])))
def test_text_that_is_no_utf8_is_written_readably(make_header, text):
    header = make_header(command=[text], host={"cpu_name": text, text: [text]})

    assert decode_line(encode_line(header)) == header
    assert header.command == [text.encode("utf-8", "backslashreplace").decode()]


def test_tuples_and_enums_in_free_form_parts_become_what_json_has(make_header):
    header = make_header(config=[{"batch": (1, 2), "status": Status.MEASURED}])

    assert decode_line(encode_line(header)).config == [{"batch": [1, 2], "status": "measured"}]


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("field", ["drift_ratio", "throughput_items_s", "cpu_s_per_item"])
def test_a_figure_that_is_no_json_number_is_refused_where_it_is_made(make_cell, field, bad):
    with pytest.raises(ValidationError, match="finite"):
        make_cell(**{field: bad})


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_free_form_parts_refuse_what_is_no_json_number_at_any_depth(make_cell, bad):
    with pytest.raises(ValidationError, match="no JSON number"):
        make_cell(facts={"a": [{"b": bad}]})


@pytest.mark.parametrize(
    "changes",
    [{"batch": 0}, {"concurrency": 0}, {"attempt": 0}, {"index": -1}, {"status": "fine"}, {"precision": "fp12"}],
)
def test_a_cell_that_cannot_be_is_refused(make_cell, changes):
    with pytest.raises(ValidationError):
        make_cell(**changes)


def test_a_record_cannot_be_changed(make_cell):
    with pytest.raises(ValidationError, match="frozen"):
        make_cell().batch = 2


def test_a_trailer_counts_every_status(make_trailer):
    trailer = make_trailer(status_counts={Status.ERROR: 3})

    assert trailer.status_counts == {status: 3 if status is Status.ERROR else 0 for status in Status}


def test_long_reasons_are_cut_and_marked():
    reason = Reason(code="x", text="y" * (MAX_TEXT_CHARS + 1))

    assert len(reason.text) == MAX_TEXT_CHARS
    assert reason.text.endswith("y…")


def test_a_line_that_readers_would_refuse_is_not_written(make_cell):
    with pytest.raises(OutputError, match="longer than a line may be"):
        encode_line(make_cell(facts={"log": "x" * MAX_LINE_BYTES}))


@pytest.mark.parametrize("version", [SCHEMA_VERSION - 1, SCHEMA_VERSION + 1])
def test_another_version_is_named_whatever_else_the_line_holds(version):
    line = json.dumps({"kind": "of_tomorrow", "schema_version": version, "sweep_id": "a"}).encode()

    with pytest.raises(OtherVersionError, match=f"schema version {version}, this program reads {SCHEMA_VERSION}"):
        decode_line(line)


@given(data=st.data())
def test_a_line_cut_anywhere_is_no_json(golden_path, data):
    line = data.draw(st.sampled_from(golden_path.read_bytes().splitlines()))
    cut = data.draw(st.integers(0, len(line) - 1))

    with pytest.raises(NotJsonError):
        decode_line(line[:cut])


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"batch": "1"}, "cell.batch: Input should be a valid integer"),
        ({"batch": 1.0}, "cell.batch: Input should be a valid integer"),
        ({"status": "fine"}, "cell.status: Input should be 'measured'"),
        ({"kind": "header"}, "header.created_at: Field required"),
        ({"kind": "other"}, "'header', 'cell', 'trailer'"),
        ({"schema_version": True}, "schema_version: Input should be a valid integer"),
        ({"sweep_id": None}, "sweep_id: Input should be a valid string"),
        ({"drift_ratio": math.nan}, "cell.drift_ratio: Input should be a finite number"),
        ({"facts": {"a": math.inf}}, "cell.facts: Value error, inf is no JSON number"),
    ],
)
def test_a_line_that_is_no_record_is_refused_by_the_name_of_the_key(make_cell, change, why):
    written = json.loads(encode_line(make_cell()))
    line = json.dumps({**written, **change}).encode()

    with pytest.raises(BadLineError) as refusal:
        decode_line(line)

    assert why in str(refusal.value)


@pytest.mark.parametrize("line", [b"3", b"null", b"[]", b'"header"'])
def test_json_that_is_no_object_is_refused(line):
    with pytest.raises(BadLineError, match="should be an object"):
        decode_line(line)
