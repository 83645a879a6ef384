from __future__ import annotations

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from asyncbench.errors import BadInputError, ExitCode
from asyncbench.results.lines import MAX_LINE_BYTES
from asyncbench.results.reader import final_cells, read_results
from asyncbench.results.status import Status


@pytest.fixture
def results_path(tmp_path):
    return tmp_path / "results.jsonl"


@pytest.fixture(scope="module")
def whole_lines(make_header, make_cell, make_trailer, lines_of):
    return [lines_of(record) for record in (make_header(), *map(make_cell, range(4)), make_trailer())]


def refusal_of(path, content, *, allow_torn=True):
    path.write_bytes(content)
    with pytest.raises(BadInputError) as refusal:
        read_results(path, allow_torn=allow_torn)
    assert refusal.value.exit_code is ExitCode.BAD_INPUT
    assert refusal.value.remedy
    assert "\n" not in str(refusal.value)
    return str(refusal.value)


def test_a_whole_file_is_read(results_path, make_header, make_cell, make_trailer, lines_of):
    records = make_header(), make_cell(0), make_cell(1), make_trailer()
    results_path.write_bytes(lines_of(*records))

    read = read_results(results_path, allow_torn=False)

    assert (read.header, read.trailer) == (records[0], records[3])
    assert read.cells == {0: records[1], 1: records[2]}
    assert (read.torn_bytes, read.good_bytes) == (0, results_path.stat().st_size)


def test_the_last_record_of_a_cell_holds(results_path, make_header, make_cell, lines_of):
    first, second = make_cell(0, status=Status.INTERRUPTED), make_cell(0, attempt=2)
    results_path.write_bytes(lines_of(make_header(), first, second))

    assert read_results(results_path, allow_torn=False).cells == {0: second}


def test_a_sweep_that_went_on_after_its_trailer_has_none(results_path, make_header, make_cell, make_trailer, lines_of):
    header, resumed = make_header(), make_header(resumed=True)
    results_path.write_bytes(lines_of(header, make_cell(0), make_trailer(exit_code=130), resumed, make_cell(1)))

    read = read_results(results_path, allow_torn=False)

    assert read.header == header
    assert read.trailer is None
    assert set(read.cells) == {0, 1}


def test_every_verdict_is_final_but_an_interruption(results_path, make_header, make_cell, lines_of):
    cells = [make_cell(index, status=status) for index, status in enumerate(Status)]
    results_path.write_bytes(lines_of(make_header(), *cells))

    final = final_cells(read_results(results_path, allow_torn=False))

    assert final == {cell.index for cell in cells if cell.status is not Status.INTERRUPTED}


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_file_cut_anywhere_after_its_header_loses_at_most_its_last_line(results_path, whole_lines, data):
    lines, whole = whole_lines, b"".join(whole_lines)
    cut = data.draw(st.integers(len(lines[0]), len(whole)))
    results_path.write_bytes(whole[:cut])

    read = read_results(results_path, allow_torn=True)

    ends = [sum(map(len, lines[: number + 1])) for number in range(len(lines))]
    whole_lines = sum(end <= cut for end in ends)
    assert len(read.cells) == min(whole_lines - 1, 4)
    assert (read.trailer is not None) == (whole_lines == len(lines))
    assert read.good_bytes == ends[whole_lines - 1]
    assert read.good_bytes + read.torn_bytes == cut


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_file_without_a_whole_header_holds_nothing_and_may_be_deleted(results_path, make_header, lines_of, data):
    header = lines_of(make_header())
    cut = data.draw(st.integers(0, len(header) - 1))

    refusal = refusal_of(results_path, header[:cut])

    assert (
        refusal == f"{results_path}:1: no whole header, so no result either: delete the file, or give another --output"
    )


def test_a_torn_last_line_is_refused_unless_it_is_expected(results_path, make_header, make_cell, lines_of):
    content = lines_of(make_header(), make_cell(0), make_cell(1))

    refusal = refusal_of(results_path, content[:-10], allow_torn=False)

    assert f"{results_path}:3: the last line is torn" in refusal
    assert "--resume" in refusal


@pytest.mark.parametrize("garbage", [b"\0" * 64 + b"\n", b"{\n", b"\n", b"\xff\xfe\n", b"\0" * 4096])
def test_a_last_line_that_is_no_json_is_torn(results_path, make_header, make_cell, lines_of, garbage):
    whole = lines_of(make_header(), make_cell(0))
    results_path.write_bytes(whole + garbage)

    read = read_results(results_path, allow_torn=True)

    assert (read.good_bytes, read.torn_bytes) == (len(whole), len(garbage))
    assert set(read.cells) == {0}


def test_a_last_line_that_lacks_only_its_newline_is_torn(results_path, make_header, make_cell, lines_of):
    results_path.write_bytes(lines_of(make_header(), make_cell(0), make_cell(1))[:-1])

    assert set(read_results(results_path, allow_torn=True).cells) == {0}


@pytest.mark.parametrize("garbage", [b"{\n", b"\n", b"\0\0\n", b'{"kind":"cell"}\n', b"7\n"])
def test_a_bad_line_before_the_last_is_named(results_path, make_header, make_cell, lines_of, garbage):
    content = lines_of(make_header(), make_cell(0)) + garbage + lines_of(make_cell(1))

    refusal = refusal_of(results_path, content)

    assert refusal.startswith(f"{results_path}:3: ")
    assert refusal.endswith("delete line 3, or give another --output")


def test_a_last_line_that_is_json_but_no_record_is_not_taken_for_torn(results_path, make_header, lines_of):
    refusal = refusal_of(results_path, lines_of(make_header()) + b'{"kind":"cell","schema_version":1,"sweep_id":"a"}\n')

    assert f"{results_path}:2: cell.index: Field required" in refusal


@pytest.mark.parametrize("version", [0, 2, 99])
@pytest.mark.parametrize("number", [1, 2])
def test_another_schema_version_is_refused_by_number(results_path, whole_lines, version, number):
    lines = list(whole_lines)
    lines[number - 1] = json.dumps({**json.loads(lines[number - 1]), "schema_version": version}).encode() + b"\n"

    refusal = refusal_of(results_path, b"".join(lines))

    assert f"{results_path}:{number}: schema version {version}, this program reads 1" in refusal
    assert "use the asyncbench that wrote it" in refusal


@pytest.mark.parametrize(
    "content",
    [
        b"hello\n",
        b"hello",
        b"\x7fELF" + b"\0" * 99,
        b"\n",
        b"{}\n",
        b'[{"target": "x"}]\n',
        b"\0" * (MAX_LINE_BYTES * 3),
    ],
)
def test_a_file_of_another_program_is_refused(results_path, content):
    refusal = refusal_of(results_path, content)

    assert f"{results_path}:1: not a results file of asyncbench" in refusal


def test_a_file_that_begins_with_a_cell_is_refused(results_path, make_cell, lines_of):
    assert "a cell where the header should be" in refusal_of(results_path, lines_of(make_cell(0)))


def test_two_sweeps_in_one_file_are_refused(results_path, make_header, make_cell, lines_of):
    content = lines_of(make_header(), make_cell(0), make_header(sweep_id="another"), make_cell(1, sweep_id="another"))

    assert refusal_of(results_path, content) == (
        f"{results_path}: from line 3 on it is another sweep's: "
        "keep its first 2 lines alone (head -n 2), or give another --output"
    )


def test_a_byte_order_mark_and_windows_line_ends_are_read_over(results_path, make_header, make_cell, lines_of):
    whole = b"\xef\xbb\xbf" + lines_of(make_header(), make_cell(0)).replace(b"\n", b"\r\n")
    results_path.write_bytes(whole + lines_of(make_cell(1))[:-20])

    read = read_results(results_path, allow_torn=True)

    assert (read.header, set(read.cells)) == (make_header(), {0})
    assert read.good_bytes == len(whole)


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-be"])
def test_utf_16_is_named(results_path, make_header, lines_of, encoding):
    text = "\ufeff" * (encoding == "utf-16-be") + lines_of(make_header()).decode()

    refusal = refusal_of(results_path, text.encode(encoding))

    assert refusal == (
        f"{results_path}: is UTF-16 text, as Windows' PowerShell writes it: save it as UTF-8, or give another --output"
    )


@pytest.mark.parametrize("content", [b"\xef\xbb\xbf", b'\xef\xbb\xbf{"kind":"header"'])
def test_a_mark_before_a_header_that_is_not_whole_changes_nothing(results_path, content):
    assert "no whole header" in refusal_of(results_path, content)


def test_a_line_without_end_is_refused_before_it_is_read_whole(results_path, make_header, lines_of):
    with results_path.open("wb") as file:
        file.write(lines_of(make_header()))
        file.truncate(2**40)  # sparse

    refusal = refusal_of_present(results_path)

    assert f"{results_path}:2: longer than {MAX_LINE_BYTES} B" in refusal


def refusal_of_present(path):
    with pytest.raises(BadInputError) as refusal:
        read_results(path, allow_torn=True)
    return str(refusal.value)


def test_what_cannot_be_opened_is_refused_with_its_reason(tmp_path):
    assert "No such file" in refusal_of_present(tmp_path / "absent.jsonl")
    assert "Is a directory" in refusal_of_present(tmp_path)
