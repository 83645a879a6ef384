"""TensorRT's calibration cache: read, written, every line checked, and turned into a table and back."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncbench.accuracy.calibration.calibration_file import cache_of, table_of
from asyncbench.accuracy.calibration.legacy_cache import (
    LEVELS,
    Algorithm,
    LegacyCache,
    for_builder,
    format_cache,
    parse_cache,
    read_cache,
    version_number,
    write_cache,
)
from asyncbench.accuracy.calibration.table import CalibrationTable, Method, MethodName, decode_table, encode_table
from asyncbench.errors import BadInputError

# What is in NVIDIA's own sample (sampleINT8's README): amax 1.0 is the scale 1/127.
SAMPLE = (
    b"TRT-8601-EntropyCalibration2\ndata: 3c008912\n(Unnamed Layer* 4) [Constant]_output: 3d65992f\nprob: 3c010a14\n"
)

NAMES = st.text(st.characters(codec="utf-8", exclude_characters="\r\n"), min_size=1)
SCALES = st.floats(0, 2.0**120, width=32).map(abs)
CACHES = st.builds(
    LegacyCache,
    version_number=st.integers(1000, 109999).map(str),
    algorithm=st.sampled_from(Algorithm),
    scales=st.dictionaries(NAMES, SCALES, min_size=1, max_size=5),
)


def parse(text: bytes) -> LegacyCache:
    return parse_cache(text, source="old.cache")


@given(CACHES)
def test_a_cache_comes_back_as_it_was_written(cache):
    assert parse(format_cache(cache)) == cache


def test_a_real_cache_is_read():
    cache = parse(SAMPLE)

    assert (cache.version_number, cache.algorithm) == ("8601", Algorithm.ENTROPY_2)
    assert list(cache.scales) == ["data", "(Unnamed Layer* 4) [Constant]_output", "prob"]
    assert cache.scales["data"] == struct.unpack(">f", bytes.fromhex("3c008912"))[0]
    assert format_cache(cache) == SAMPLE


def test_names_with_colons_carriage_returns_and_a_missing_last_line_break_are_read():
    cache = parse(b"TRT-7103-MinMaxCalibration\r\ninput:0: 3C010204\r\na: b: 3f800000")

    assert dict(cache.scales) == {"input:0": pytest.approx(1 / 127), "a: b": 1.0}


def test_a_scale_of_0_is_read_as_tensorrt_writes_it_unless_the_line_may_be_cut_off():
    cache = parse(b"TRT-8401-EntropyCalibration2\ndead: 0\na: 3c010204\nlast: 0\n")

    assert (cache.scales["dead"], cache.scales["last"]) == (0.0, 0.0)
    with pytest.raises(BadInputError, match="line 3: 'last: 0'"):
        parse(b"TRT-8401-EntropyCalibration2\ndead: 0\nlast: 0")


def test_the_head_of_tensorrt_5_is_kept():
    cache = parse(b"1\ninput: 3c010204\n")

    assert (cache.version_number, cache.algorithm) == (None, Algorithm.ENTROPY)
    assert format_cache(cache) == b"1\ninput: 3c010204\n"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"", "line 1: '' is not a head"),
        (b"conv: 3c010204\n", "line 1: .* is not a head such as"),
        (b"TRT-8601-OtherCalibration\na: 3c010204\n", "line 1"),
        (b"TRT-8601-EntropyCalibration2\n", "line 2: there is no tensor"),
        (b"TRT-8601-EntropyCalibration2\na: 3c010204\nconv1: 3c01\n", "line 3: 'conv1: 3c01' is not a tensor"),
        (b"TRT-8601-EntropyCalibration2\na: 3c010204\nconv", "line 3: 'conv'"),
        (b"TRT-8601-EntropyCalibration2\na: 3c010204\n\nb: 3c010204\n", "line 3: ''"),
        (b"TRT-8601-EntropyCalibration2\na: 3c01020g\n", "line 2"),
        (b"TRT-8601-EntropyCalibration2\n: 3c010204\n", "line 2"),
        (b"TRT-8601-EntropyCalibration2\na: 3c010204\na: 3c010204\n", "line 3: 'a' comes a second time"),
        (b"TRT-8601-EntropyCalibration2\na: 7fc00000\n", "line 2: the scale of 'a' is nan"),
        (b"TRT-8601-EntropyCalibration2\na: 7f800000\n", "line 2: the scale of 'a' is inf"),
        (b"TRT-8601-EntropyCalibration2\na: bc010204\n", "line 2: the scale of 'a' is -0.0078"),
        (b"TRT-8601-EntropyCalibration2\na: 80000000\n", "line 2: the scale of 'a' is -0"),
        (b"TRT-8601-EntropyCalibration2\na: 7f7fffff\n", "line 2: the scale of 'a' is 3.4"),
        (b"TRT-8601-EntropyCalibration2\na: 3c010204\n\xff: 3c010204\n", "line 3: it is not UTF-8"),
    ],
)
def test_a_bad_line_is_refused_with_its_number(text, message):
    with pytest.raises(BadInputError, match=f"^old.cache is cut off or no calibration cache: {message}"):
        parse(text)


# A name such as `a: 3c010204` would be a whole line when it is cut behind its digits.
@given(CACHES.filter(lambda cache: not any(": " in name for name in cache.scales)), st.data())
def test_a_cache_that_is_cut_off_within_its_last_line_is_refused_with_the_line_number(cache, data):
    text = format_cache(cache)
    start = text.rindex(b"\n", 0, -1) + 1
    end = data.draw(st.integers(start + 1, len(text) - 2))

    with pytest.raises(BadInputError, match=f"line {len(cache.scales) + 1}:"):
        parse(text[:end])


def test_a_name_that_would_break_the_file_is_refused():
    cache = LegacyCache(version_number="8601", algorithm=Algorithm.ENTROPY_2, scales={"a\nb": 1.0})

    with pytest.raises(BadInputError, match="cannot hold the tensor"):
        format_cache(cache)


def test_a_cache_without_a_tensor_is_not_written(tmp_path):
    dead = parse(b"TRT-8601-EntropyCalibration2\na: 00000000\n")

    with pytest.raises(BadInputError, match="needs a tensor whose range is above 0"):
        write_cache(for_builder(dead, "8.6.0"), tmp_path / "net.cache")

    assert not list(tmp_path.iterdir())


def test_a_cache_of_tensors_that_only_tensorrt_knows_makes_no_table():
    cache = parse(b"TRT-8601-EntropyCalibration2\n(Unnamed Layer* 4) [Constant]_output: 3d65992f\n")

    with pytest.raises(BadInputError, match=r"old\.cache has only tensors that TensorRT knows: \(Unnamed Layer\* 4\)"):
        table_of(cache, source="old.cache")


def test_what_the_parser_of_tensorrt_puts_in_is_left_out_of_the_table():
    table, lost = table_of(parse(SAMPLE + b"ONNXTRT_Broadcast_94_output: 3c010204\n"))

    assert list(table.ranges) == ["data", "prob"]
    assert lost[2].startswith("2 tensors that only TensorRT knows")


@pytest.mark.parametrize("scale", [float("nan"), float("inf"), -1.0])
def test_a_scale_that_is_none_is_not_written(scale):
    cache = LegacyCache(version_number="8601", algorithm=Algorithm.ENTROPY_2, scales={"a": scale})

    with pytest.raises(ValueError, match="scale of"):
        format_cache(cache)


def test_a_file_is_written_and_read_back(tmp_path):
    path = tmp_path / "net.cache"

    write_cache(parse(SAMPLE), path)

    assert read_cache(path) == parse(SAMPLE)


def test_a_missing_file_is_said_so(tmp_path):
    with pytest.raises(BadInputError, match="No such file"):
        read_cache(tmp_path / "none.cache")


@pytest.mark.parametrize(
    ("version", "number"),
    [("8.6.0", "8600"), ("8.6.1.6", "8601"), ("7.1.3", "7103"), ("10.3.0", "100300"), ("10.3", "100300")],
)
def test_the_number_in_the_head_is_that_of_tensorrts_header_file(version, number):
    assert version_number(version) == number


def test_a_text_that_is_no_version_is_refused():
    with pytest.raises(BadInputError, match="'eight' is not a TensorRT version"):
        version_number("eight")


def test_a_builder_gets_its_own_head_and_no_zeros():
    cache = parse(b"TRT-7103-MinMaxCalibration\na: 3c010204\ndead: 00000000\n")

    assert format_cache(for_builder(cache, "8.6.0")) == b"TRT-8600-EntropyCalibration2\na: 3c010204\n"


@given(CACHES)
def test_a_cache_that_went_through_a_table_has_the_same_scales_bit_for_bit(cache):
    table, _ = table_of(cache)
    read = decode_table(encode_table(table), source="t")

    back, _ = cache_of(read, tensorrt_version="8.6.1")

    positive = {name: scale for name, scale in cache.scales.items() if scale > 0}
    assert back.scales == positive


def test_what_a_cache_does_not_know_is_said():
    table, lost = table_of(parse(SAMPLE))

    assert table.ranges == {name: parse(SAMPLE).scales[name] * LEVELS for name in ("data", "prob")}
    assert (table.model_sha256, table.images, table.method.name) == (None, (), MethodName.ENTROPY)
    assert table.versions == {"tensorrt": "8601"}
    assert "which images" in lost[0]
    assert "of which model" in lost[1]
    assert lost[2] == "1 tensor that only TensorRT knows: (Unnamed Layer* 4) [Constant]_output"


def test_a_model_that_the_caller_names_is_in_the_table():
    table, lost = table_of(parse(SAMPLE), model_sha256="a" * 64)

    assert table.model_sha256 == "a" * 64
    assert not any("of which model" in line for line in lost)


def test_what_a_cache_cannot_hold_is_said(table: CalibrationTable):
    changed = CalibrationTable(
        model_sha256=table.model_sha256,
        method=Method(name=MethodName.PERCENTILE, percentile=99.9),
        recipe=None,
        images=table.images,
        versions={},
        ranges={"a": 127.0, "dead": 0.0, "almost dead": 1e-45},
    )

    cache, lost = cache_of(changed, tensorrt_version="8.6.0")

    assert format_cache(cache) == b"TRT-8600-EntropyCalibration2\na: 3f800000\n"
    assert "6 images" in lost[0]
    assert "the method (percentile 99.9)" in lost[1]
    assert lost[2].startswith("2 tensors always at 0")
    assert lost[2].endswith("dead, almost dead")
