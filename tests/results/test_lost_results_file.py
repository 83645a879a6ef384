"""A results file that is deleted, moved, cut off or replaced while it is written."""

from __future__ import annotations

import json
import os
import shutil

import pytest

from asyncbench.errors import BadInputError, OutputError
from asyncbench.results.reader import read_results
from asyncbench.results.results_file import ResultsFile
from asyncbench.results.writer import ResultsWriter


@pytest.fixture
def results_path(tmp_path):
    return tmp_path / "out" / "results.jsonl"


@pytest.fixture
def begun(results_path, make_header, make_cell):
    """Return a file that is being written: a header and one cell."""
    results = ResultsFile.create(results_path)
    results.append(make_header())
    results.append(make_cell(0))
    yield results
    results.close()


def replace_with(content):
    def replace(path):
        path.with_name("new").write_bytes(content)
        path.with_name("new").replace(path)

    return replace


def overwrite_with_more(path):
    path.write_bytes(b"x" * 2 * path.stat().st_size)


def make_a_fifo_of_it(path):
    path.unlink()
    os.mkfifo(path)


LOSSES = [
    pytest.param(lambda path: path.unlink(), "was deleted", id="deleted"),
    pytest.param(lambda path: path.rename(path.with_name("elsewhere")), "was moved", id="moved"),
    pytest.param(lambda path: os.truncate(path, 0), "has shrunk", id="emptied"),
    pytest.param(lambda path: os.truncate(path, path.stat().st_size - 1), "has shrunk", id="cut"),
    pytest.param(replace_with(b"theirs\n"), "was replaced", id="replaced"),
    pytest.param(overwrite_with_more, "was replaced", id="overwritten"),
    pytest.param(make_a_fifo_of_it, "was replaced", id="a pipe in its place"),
]


@pytest.mark.parametrize(("lose", "said"), LOSSES)
def test_with_the_next_record_all_of_them_are_in_a_rescue_file_beside_it(results_path, begun, make_cell, lose, said):
    before = results_path.read_bytes()
    lose(results_path)

    notice = begun.append(make_cell(1))

    rescued = results_path.with_name("results.rescued-1.jsonl")
    assert rescued.read_bytes().startswith(before)
    assert notice.startswith(f"{results_path} {said}")
    assert notice.endswith(f"all its records are in {rescued} now, and the sweep goes on there")
    assert begun.append(make_cell(2)) is None
    assert set(read_results(rescued, allow_torn=False).cells) == {0, 1, 2}


def test_what_was_put_in_its_place_is_left_alone(results_path, begun, make_cell):
    replace_with(b"theirs\n")(results_path)

    begun.append(make_cell(1))

    assert results_path.read_bytes() == b"theirs\n"


def test_a_copy_put_in_its_place_is_noticed_though_it_holds_the_same(results_path, begun, make_cell):
    replace_with(results_path.read_bytes())(results_path)

    assert "was replaced" in begun.append(make_cell(1))
    assert set(read_results(begun.path, allow_torn=False).cells) == {0, 1}


def test_a_file_that_vanishes_before_its_first_record_loses_none(results_path, make_header, lines_of):
    results = ResultsFile.create(results_path)
    results_path.unlink()

    notice = results.append(make_header())

    assert "was deleted" in notice
    assert results.path.read_bytes() == lines_of(make_header())
    results.close()


def test_a_second_loss_is_rescued_too(results_path, begun, make_cell):
    results_path.unlink()
    begun.append(make_cell(1))
    begun.path.unlink()

    notice = begun.append(make_cell(2))

    assert notice.startswith(str(results_path.with_name("results.rescued-1.jsonl")))
    assert set(read_results(begun.path, allow_torn=False).cells) == {0, 1, 2}


def test_without_its_folder_the_rescue_is_in_the_current_one(results_path, begun, make_cell, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.rmtree(results_path.parent)

    notice = begun.append(make_cell(1))

    assert str(tmp_path / "results.rescued-1.jsonl") in notice
    assert set(read_results(tmp_path / "results.rescued-1.jsonl", allow_torn=False).cells) == {0, 1}


def test_without_any_folder_the_error_says_what_was_lost(results_path, begun, make_cell, tmp_path, monkeypatch):
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(gone))
    gone.rmdir()
    shutil.rmtree(results_path.parent)

    with pytest.raises(OutputError, match=r"was deleted .*, and no file can be made to rescue its records"):
        begun.append(make_cell(1))


def test_what_a_resumed_file_held_is_rescued_too(results_path, begun, make_header, make_cell):
    begun.close()
    resumed, _ = ResultsFile.resume(results_path, configs=make_header().config)
    os.truncate(results_path, 0)

    resumed.append(make_header(resumed=True))
    resumed.append(make_cell(1))

    kinds = [json.loads(line)["kind"] for line in resumed.path.read_text().splitlines()]
    assert kinds == ["header", "cell", "header", "cell"]
    assert set(read_results(resumed.path, allow_torn=False).cells) == {0, 1}
    resumed.close()


def test_to_go_on_with_a_lost_file_is_answered_with_what_was_rescued(results_path, begun, make_header, make_cell):
    os.truncate(results_path, 0)
    begun.append(make_cell(1))

    with pytest.raises(BadInputError) as emptied:
        ResultsFile.resume(results_path, configs=make_header().config)
    results_path.unlink()
    with pytest.raises(BadInputError) as missing:
        ResultsFile.resume(results_path, configs=make_header().config)

    for refusal in (emptied, missing):
        assert "nothing to resume" in refusal.value.message
        assert f"go on with {begun.path}" in refusal.value.remedy


async def test_the_writer_tells_people_once_and_remembers_it(results_path, begun, make_cell):
    said = []
    writer = ResultsWriter(begun, notice=said.append)

    await writer.check()
    assert (writer.is_elsewhere, said) == (False, [])
    results_path.unlink()
    await writer.check()
    await writer.append(make_cell(1))

    assert writer.is_elsewhere
    assert len(said) == 1


def test_a_file_that_was_lost_before_anything_was_written_leaves_no_empty_rescue_file(results_path):
    results = ResultsFile.create(results_path)
    results_path.unlink()

    assert results.check() is not None
    rescued = results.path
    assert rescued.exists()
    results.close()

    assert rescued != results_path
    assert not rescued.exists()


def test_a_rescue_file_that_was_replaced_by_somebody_else_is_left_alone(results_path):
    results = ResultsFile.create(results_path)
    results_path.unlink()
    results.check()
    replace_with(b"theirs\n")(results.path)

    results.close()

    assert results.path.read_bytes() == b"theirs\n"
