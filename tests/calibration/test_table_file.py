"""Which of the two kinds a calibration file is."""

from __future__ import annotations

import pytest

from asyncbench.calibration.table import write_table
from asyncbench.calibration.table_file import is_legacy_cache, read_calibration
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
