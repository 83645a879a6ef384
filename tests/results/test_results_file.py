from __future__ import annotations

import errno
import fcntl
import os
from functools import partial
from pathlib import Path

import pytest

from asyncbench.errors import BadInputError, ExitCode, OutputError
from asyncbench.results.reader import read_results
from asyncbench.results.results_file import ResultsFile, _sync_folder
from asyncbench.results.writer_lock import lock_for_writing


@pytest.fixture
def results_path(tmp_path):
    return tmp_path / "results.jsonl"


@pytest.fixture
def begun(results_path, make_header, make_cell, lines_of):
    """Leave a file with a header and one cell, and return what is in it."""
    content = lines_of(make_header(), make_cell(0))
    results_path.write_bytes(content)
    return content


def refusal_of(call, *args, error=BadInputError, **kwargs):
    with pytest.raises(error) as refusal:
        call(*args, **kwargs)
    assert refusal.value.exit_code is ExitCode.BAD_INPUT
    assert refusal.value.remedy
    assert "\n" not in str(refusal.value)
    return str(refusal.value)


def test_each_record_is_in_the_file_as_soon_as_it_is_appended(
    results_path, make_header, make_cell, make_trailer, lines_of
):
    results = ResultsFile.create(results_path)
    written = b""

    for record in (make_header(), make_cell(0), make_trailer()):
        results.append(record)
        written += lines_of(record)
        assert results_path.read_bytes() == written

    results.close()
    results.close()


def test_each_line_and_the_name_of_the_file_are_synced(results_path, make_header, make_cell, lines_of, monkeypatch):
    synced = []
    monkeypatch.setattr(
        os, "fsync", lambda fd: synced.append((Path(f"/proc/self/fd/{fd}").readlink(), os.fstat(fd).st_size))
    )
    results = ResultsFile.create(results_path)

    results.append(make_header())
    results.append(make_cell(0))

    header_bytes, whole_bytes = len(lines_of(make_header())), len(lines_of(make_header(), make_cell(0)))
    assert [synced[0], synced[2]] == [(results_path, header_bytes), (results_path, whole_bytes)]
    assert synced[1][0] == results_path.parent
    results.close()


def test_a_line_that_cannot_be_synced_is_taken_back(results_path, make_header, make_cell, lines_of, monkeypatch):
    def fail(_fd):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    results = ResultsFile.create(results_path)
    results.append(make_header())

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", fail)
        refusal = refusal_of(results.append, make_cell(0), error=OutputError)

    assert "Input/output error: check the disk, then go on with --resume" in refusal
    assert results_path.read_bytes() == lines_of(make_header())
    results.append(make_cell(1))
    assert results_path.read_bytes() == lines_of(make_header(), make_cell(1))
    results.close()


def test_the_name_is_taken_at_once_and_free_again_where_no_record_came(tmp_path):
    path = tmp_path / "new" / "deep" / "results.jsonl"
    results = ResultsFile.create(path)

    assert path.read_bytes() == b""
    assert "another sweep is writing it" in refusal_of(ResultsFile.create, path)
    results.close()

    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_somebody_else_uses_by_then_stays(tmp_path):
    results = ResultsFile.create(tmp_path / "new" / "results.jsonl")
    (tmp_path / "new" / "theirs").touch()

    results.close()

    assert [path.name for path in (tmp_path / "new").iterdir()] == ["theirs"]


def test_where_a_name_is_taken_the_next_free_one_is_found(results_path, make_header):
    first, second, third = (ResultsFile.create(results_path, or_next_free=True) for _ in range(3))

    for results in (first, second, third):
        results.append(make_header())
        results.close()

    assert [results.path.name for results in (first, second, third)] == [
        "results.jsonl",
        "results-2.jsonl",
        "results-3.jsonl",
    ]
    assert ResultsFile.create(results_path, or_next_free=True).path.name == "results-4.jsonl"


def test_whoever_writes_a_file_is_named_by_its_process(results_path, make_header):
    results = ResultsFile.create(results_path)

    results.append(make_header())
    for call in (ResultsFile.create, partial(ResultsFile.resume, configs=make_header().config)):
        assert f"another sweep is writing it (process {os.getpid()})" in refusal_of(call, results_path)

    results.close()


def test_missing_folders_are_made_with_the_file(tmp_path, make_header):
    path = tmp_path / "a" / "b" / "results.jsonl"

    ResultsFile.create(path).append(make_header())

    assert read_results(path, allow_torn=False).header == make_header()


def test_an_existing_file_is_refused_and_left_alone(results_path, begun):
    refusal = refusal_of(ResultsFile.create, results_path)

    assert refusal == f"{results_path}: exists: go on with it by --resume, or give another --output"
    assert results_path.read_bytes() == begun


def test_an_existing_file_with_a_torn_last_line_is_refused_and_said_to_be_torn(results_path, begun):
    results_path.write_bytes(begun[:-5])

    refusal = refusal_of(ResultsFile.create, results_path)

    assert "exists, its last line torn: go on with it by --resume" in refusal


def test_an_empty_file_that_nobody_writes_is_taken_and_stays_where_no_record_came(results_path, make_header, lines_of):
    # mktemp makes one, and a sweep that is killed while its engine is built.
    results_path.touch()

    ResultsFile.create(results_path).close()
    assert results_path.read_bytes() == b""
    results = ResultsFile.create(results_path)
    results.append(make_header())

    assert results_path.read_bytes() == lines_of(make_header())
    results.close()


@pytest.mark.usefixtures("begun")
def test_what_is_no_place_for_a_file_is_refused_at_once(tmp_path, results_path):
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")

    assert "is a folder" in refusal_of(ResultsFile.create, tmp_path)
    assert "is not a folder" in refusal_of(ResultsFile.create, results_path / "below" / "x.jsonl")
    assert "is not a regular file" in refusal_of(ResultsFile.create, tmp_path / "fifo")
    assert "is not a regular file" in refusal_of(ResultsFile.create, tmp_path / "dangling")
    assert "File name too long" in refusal_of(ResultsFile.create, tmp_path / ("x" * 300))


def test_a_folder_that_cannot_be_written_to_is_refused(make_header):
    def begin(path):
        ResultsFile.create(path).append(make_header())

    # Nobody makes files there, the superuser neither.
    refusal = refusal_of(begin, Path("/proc/results.jsonl"), error=(BadInputError, OutputError))

    assert "/proc/results.jsonl: " in refusal
    assert "give another --output" in refusal


def test_a_folder_without_permission_is_refused_before_anything_runs(tmp_path):
    if os.geteuid() == 0:
        pytest.skip("the superuser may write to every folder")
    tmp_path.chmod(0o500)

    refusal = refusal_of(ResultsFile.create, tmp_path / "results.jsonl")

    assert f"the folder {tmp_path} cannot be written to" in refusal
    tmp_path.chmod(0o700)


def test_a_line_that_cannot_be_taken_back_is_reported_by_the_first_error(results_path, begun, make_header):
    read_only_fd = os.open(results_path, os.O_RDONLY)
    results = ResultsFile(results_path, fd=read_only_fd, whole_bytes=1)

    refusal = refusal_of(results.append, make_header(), error=OutputError)

    assert "check the disk, then go on with --resume" in refusal
    assert results_path.read_bytes() == begun
    results.close()


@pytest.mark.usefixtures("begun")
def test_a_file_system_without_locks_is_refused(results_path):
    fd_without_locks = os.open(results_path, os.O_PATH)

    assert "on a file system with locks" in refusal_of(lock_for_writing, fd_without_locks, results_path)

    os.close(fd_without_locks)


def test_a_folder_that_cannot_be_synced_is_an_error_unless_it_never_can(tmp_path):
    _sync_folder(Path("/proc/results.jsonl"))

    assert "cannot be synced" in refusal_of(_sync_folder, tmp_path / "absent" / "x.jsonl", error=OutputError)


def test_a_file_that_is_being_written_cannot_be_resumed(results_path, make_header):
    results = ResultsFile.create(results_path)
    results.append(make_header())

    refusal = refusal_of(ResultsFile.resume, results_path, configs=make_header().config)

    assert "another sweep is writing it" in refusal
    results.close()
    ResultsFile.resume(results_path, configs=make_header().config)[0].close()


@pytest.mark.usefixtures("begun")
def test_two_sweeps_cannot_resume_one_file(results_path, make_header):
    first, _ = ResultsFile.resume(results_path, configs=make_header().config)

    assert "another sweep" in refusal_of(ResultsFile.resume, results_path, configs=make_header().config)

    first.close()


def test_resuming_appends_to_what_is_there(results_path, begun, make_header, make_cell, lines_of):
    results, read = ResultsFile.resume(results_path, configs=make_header().config)

    results.append(make_header(resumed=True))
    results.append(make_cell(1))

    assert set(read.cells) == {0}
    assert results_path.read_bytes() == begun + lines_of(make_header(resumed=True), make_cell(1))
    results.close()


def test_resuming_drops_a_torn_last_line_with_the_first_record(results_path, begun, make_header, make_cell, lines_of):
    torn = lines_of(make_cell(1))[:-40]
    results_path.write_bytes(begun + torn)

    results, read = ResultsFile.resume(results_path, configs=make_header().config)

    assert read.torn_bytes == len(torn)
    assert results_path.read_bytes() == begun + torn
    results.append(make_cell(2))
    assert results_path.read_bytes() == begun + lines_of(make_cell(2))
    results.close()


def test_a_file_that_windows_has_saved_is_gone_on_with(results_path, begun, make_header, make_cell, lines_of):
    saved = b"\xef\xbb\xbf" + begun.replace(b"\n", b"\r\n")
    results_path.write_bytes(saved + b'{"torn')

    results, read = ResultsFile.resume(results_path, configs=make_header().config)
    results.append(make_cell(1))
    results.close()

    assert set(read.cells) == {0}
    assert results_path.read_bytes() == saved + lines_of(make_cell(1))
    assert set(read_results(results_path, allow_torn=False).cells) == {0, 1}


def test_a_refused_resumption_changes_nothing_and_holds_nothing(results_path, begun):
    results_path.write_bytes(begun + b'{"torn')

    refusal_of(ResultsFile.resume, results_path, configs=[{"model": "resnet50"}])

    assert results_path.read_bytes() == begun + b'{"torn'
    with results_path.open("rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_what_cannot_be_resumed_is_refused_with_its_reason(tmp_path, make_header):
    config = make_header().config
    os.mkfifo(tmp_path / "fifo")

    assert "nothing to resume" in refusal_of(ResultsFile.resume, tmp_path / "absent.jsonl", configs=config)
    assert "Is a directory" in refusal_of(ResultsFile.resume, tmp_path, configs=config)
    assert "is not a regular file" in refusal_of(ResultsFile.resume, tmp_path / "fifo", configs=config)
    assert "is not a regular file" in refusal_of(ResultsFile.resume, Path("/dev/null"), configs=config)


@pytest.mark.usefixtures("begun")
def test_no_file_descriptor_is_left_behind(tmp_path, results_path, make_header):
    before = len(list(Path("/proc/self/fd").iterdir()))

    ResultsFile.resume(results_path, configs=make_header().config)[0].close()
    refusal_of(ResultsFile.resume, results_path, configs=[])
    refusal_of(ResultsFile.create, results_path)
    ResultsFile.create(tmp_path / "never.jsonl").close()
    results = ResultsFile.create(tmp_path / "other.jsonl")
    results.append(make_header())
    results.close()

    assert len(list(Path("/proc/self/fd").iterdir())) == before
