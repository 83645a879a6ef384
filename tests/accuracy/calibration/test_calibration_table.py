"""The table's file: whole, of this schema, of this model, or refused by name."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncbench.accuracy.calibration.table import (
    CalibrationTable,
    ImageHash,
    Method,
    MethodName,
    check_table,
    decode_table,
    encode_table,
    hash_images,
    read_table,
    write_table,
)
from asyncbench.errors import BadInputError, OutputError

NAMES = st.text(st.characters(codec="utf-8"), min_size=1)
HASHES = st.integers(0, 2**256 - 1).map("{:064x}".format)
TABLES = st.builds(
    CalibrationTable,
    model_sha256=st.none() | HASHES,
    method=st.builds(Method, name=st.sampled_from(MethodName), percentile=st.none() | st.floats(1, 100)),
    recipe=st.none() | NAMES,
    images=st.lists(st.builds(ImageHash, name=NAMES, sha256=HASHES), max_size=3).map(tuple),
    versions=st.dictionaries(NAMES, NAMES, max_size=2),
    ranges=st.dictionaries(NAMES, st.floats(0, 3e38), min_size=1, max_size=4),
)


def image(name: str, digit: str) -> ImageHash:
    return ImageHash(name=name, sha256=digit * 64)


@given(TABLES)
def test_a_table_comes_back_as_it_was_written(table):
    assert decode_table(encode_table(table), source="t") == table


@given(TABLES, st.data())
def test_a_table_that_is_cut_off_anywhere_is_refused_by_name(table, data):
    text = encode_table(table)
    end = data.draw(st.integers(0, len(text) - 3))

    with pytest.raises(BadInputError, match=r"^t\.json is cut off or no JSON table"):
        decode_table(text[:end], source="t.json")


def test_the_file_is_read_back_and_nothing_is_left_beside_it(table, tmp_path):
    path = tmp_path / "out" / "table.json"
    path.parent.mkdir()

    write_table(table, path)

    assert read_table(path) == table
    assert list(path.parent.iterdir()) == [path]


def test_a_folder_that_is_missing_is_said_so(table, tmp_path):
    with pytest.raises(OutputError, match="No such file or directory"):
        write_table(table, tmp_path / "none" / "table.json")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"schema_version": 2}, "has schema version 2, this asyncbench reads 1"),
        ({"schema_version": None}, "has schema version None"),
        ({"ranges": {"conv": -1.0}}, r"is not a calibration table \(ranges.conv: .*greater than or equal to 0"),
        ({"ranges": {"conv": 1e39}}, r"ranges.conv: .*less than or equal to"),
        ({"ranges": {}}, r"ranges: .*at least 1"),
        ({"model_sha256": "abc"}, r"model_sha256"),
        ({"method": {"name": "guess"}}, r"method.name"),
        ({"method": {"name": "percentile", "percentile": 101}}, "101 is not a percentile"),
        ({"images": [{"name": "a.jpg"}]}, r"images.0.sha256: Field required"),
    ],
)
def test_a_table_with_a_wrong_value_is_refused_with_its_place(table, change, message):
    text = json.dumps(json.loads(encode_table(table)) | change).encode()

    with pytest.raises(BadInputError, match=message):
        decode_table(text, source="t.json")


def test_unknown_keys_are_ignored(table):
    text = json.dumps(json.loads(encode_table(table)) | {"note": "by hand"}).encode()

    assert decode_table(text, source="t.json") == table


def test_a_missing_table_is_said_so(tmp_path):
    with pytest.raises(BadInputError, match=r"none\.json: No such file"):
        read_table(tmp_path / "none.json")


def check(table: CalibrationTable, **changes) -> None:
    check_table(table, source="t.json", **{"model_sha256": table.model_sha256, "foreign": ()} | changes)


def test_the_table_of_the_model_itself_is_taken(table):
    check(table)


def test_a_table_of_another_model_is_refused_by_name_with_a_remedy_that_every_command_has(table):
    with pytest.raises(BadInputError, match=r"t.json is a table of another model") as refusal:
        check(table, model_sha256="0" * 64)

    assert refusal.value.remedy == "calibrate this one: asyncbench calibrate"


def test_a_table_that_does_not_say_of_which_model_it_is_is_known_by_its_tensors(table):
    nobodys = replace(table, model_sha256=None)

    check(nobodys, model_sha256="0" * 64)
    with pytest.raises(BadInputError, match=r"1 of its 7 tensors are not in the graph \(relu1\)"):
        check(nobodys, model_sha256="0" * 64, foreign=("relu1",))


def test_tensors_that_the_graph_does_not_have_are_counted_and_the_first_are_named(table):
    names = tuple(f"conv{index}" for index in range(6))

    with pytest.raises(BadInputError, match=r"another model: 6 of its 7 .*\(conv0, conv1, .* and 1 more\)"):
        check(table, foreign=names)


def test_images_are_known_by_their_bytes(tmp_path):
    for name in ("a.jpg", "copy.jpg"):
        (tmp_path / name).write_bytes(b"same")

    first, second = hash_images([tmp_path / "a.jpg", tmp_path / "copy.jpg"])

    assert (first.name, second.name) == ("a.jpg", "copy.jpg")
    assert first.sha256 == second.sha256


def test_an_image_that_is_missing_is_named(tmp_path):
    with pytest.raises(BadInputError, match=r"none\.jpg"):
        hash_images([tmp_path / "none.jpg"])
