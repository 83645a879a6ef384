"""The two kinds of calibration files."""

from __future__ import annotations

import codecs
import os

import pytest

from asyncbench.accuracy.calibration.calibration_file import is_legacy_cache, read_calibration, require_calibration
from asyncbench.accuracy.calibration.legacy_cache import read_cache
from asyncbench.accuracy.calibration.table import encode_table, read_table, write_table
from asyncbench.errors import BadInputError


@pytest.mark.parametrize(
    "head", [b"TRT-8601-EntropyCalibration2\n", b"1\n", b"1\r\n", b"TRT-7103-MinMaxCalibration\r\n"]
)
def test_a_cache_of_any_version_is_read(tmp_path, head):
    path = tmp_path / "old.cache"
    path.write_bytes(head + b"conv: 3c010204\n")

    assert list(read_calibration(path).ranges) == ["conv"]


def test_a_table_is_read(tmp_path, table):
    write_table(table, tmp_path / "t.json")

    assert not is_legacy_cache(tmp_path / "t.json")
    assert read_calibration(tmp_path / "t.json") == table


MARKED = {
    "UTF-8": lambda text: codecs.BOM_UTF8 + text,
    "UTF-16 LE": lambda text: codecs.BOM_UTF16_LE + text.decode().encode("utf-16-le"),
    "UTF-16 BE": lambda text: codecs.BOM_UTF16_BE + text.decode().encode("utf-16-be"),
}


@pytest.mark.parametrize("mark", MARKED.values(), ids=MARKED)
@pytest.mark.parametrize("head", [b"TRT-8601-EntropyCalibration2\r\n", b"1\r\n"])
def test_a_cache_is_read_behind_a_byte_order_mark(tmp_path, head, mark):
    path = tmp_path / "old.cache"
    path.write_bytes(mark(head + b"conv: 3c010204\r\n"))

    assert is_legacy_cache(path)
    assert list(read_calibration(path).ranges) == list(read_cache(path).scales) == ["conv"]


@pytest.mark.parametrize("mark", MARKED.values(), ids=MARKED)
def test_a_table_is_read_behind_a_byte_order_mark(tmp_path, table, mark):
    path = tmp_path / "t.json"
    path.write_bytes(mark(encode_table(table).replace(b"\n", b"\r\n")))

    assert not is_legacy_cache(path)
    assert read_calibration(path) == read_table(path) == table


@pytest.mark.parametrize("read", [require_calibration, is_legacy_cache, read_calibration, read_table, read_cache])
@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (os.mkfifo, "it is a pipe"),
        (lambda path: path.mkdir(), "it is a folder"),
        (lambda path: path.symlink_to("/dev/zero"), "it is a device"),
        (lambda path: path.symlink_to("nowhere"), "No such file or directory"),
    ],
    ids=["pipe", "folder", "device", "link to nothing"],
)
def test_what_is_no_file_is_refused_and_nothing_waits_for_it(tmp_path, monkeypatch, read, make, reason):
    monkeypatch.setattr("asyncbench.files.user_file.PIPE_LIMIT_S", 0.1)
    path = tmp_path / "calibration"
    make(path)

    with pytest.raises(BadInputError, match=f"cannot read the calibration.*: {reason}"):
        read(path)


@pytest.mark.parametrize("content", [b"TRT-8601-EntropyCalibration2\n\xff: 3c010204\n", b'{\n"recipe": "\xff"}\n'])
def test_another_encoding_is_refused_with_its_line(tmp_path, content):
    path = tmp_path / "calibration"
    path.write_bytes(content)

    with pytest.raises(BadInputError, match=r"calibration: line 2 is not UTF-8 text"):
        read_calibration(path)


@pytest.mark.parametrize("content", [b"1", b"1\n", b"TRT-"])
def test_a_cache_that_is_cut_off_is_called_a_cache(tmp_path, content):
    path = tmp_path / "old.cache"
    path.write_bytes(content)

    with pytest.raises(BadInputError, match=r"old\.cache is cut off or no calibration cache"):
        read_calibration(path)


@pytest.mark.parametrize("content", [b"", b"12\n", b"{}", b"TRT"])
def test_anything_else_is_read_as_a_table(tmp_path, content):
    path = tmp_path / "other"
    path.write_bytes(content)

    assert not is_legacy_cache(path)


def test_a_cache_of_nothing_but_unnamed_tensors_is_refused_by_name(tmp_path):
    path = tmp_path / "old.cache"
    path.write_bytes(b"1\n(Unnamed Layer* 4) [Constant]_output: 3d65992f\n")

    with pytest.raises(BadInputError, match=r"old\.cache has only tensors that TensorRT knows"):
        read_calibration(path)
