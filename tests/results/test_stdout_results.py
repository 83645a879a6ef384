from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

import pytest
import trio

from asyncbench.errors import BadInputError, ExitCode, OutputError
from asyncbench.results.stdout import StdoutResults, open_stream


@pytest.fixture
def pipe():
    read_fd, write_fd = os.pipe()
    yield read_fd, write_fd
    for fd in (read_fd, write_fd):
        with suppress(OSError):  # the test closed it
            os.close(fd)


def test_records_go_out_at_once_and_the_stream_stays_open(pipe, make_header, lines_of):
    read_fd, write_fd = pipe
    results = StdoutResults(fd=write_fd)

    results.append(make_header())
    results.close()
    results.append(make_header(resumed=True))

    assert os.read(read_fd, 65_536) == lines_of(make_header(), make_header(resumed=True))


async def test_a_line_longer_than_the_pipe_arrives_whole(pipe, make_cell, lines_of):
    read_fd, write_fd = pipe
    cell = make_cell(facts={"log": "x" * 300_000})
    received = bytearray()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.to_thread.run_sync, StdoutResults(fd=write_fd).append, cell)
        while len(received) < len(lines_of(cell)):
            received += await trio.to_thread.run_sync(os.read, read_fd, 65_536)

    assert received == lines_of(cell)


def test_a_reader_that_went_away_is_one_plain_error(pipe, make_header):
    read_fd, write_fd = pipe
    os.close(read_fd)

    with pytest.raises(OutputError, match="the program that read the records has ended") as refusal:
        StdoutResults(fd=write_fd).append(make_header())

    assert refusal.value.exit_code is ExitCode.BAD_INPUT


def test_a_full_disk_behind_stdout_is_one_plain_error(make_header):
    full_fd = os.open("/dev/full", os.O_WRONLY)

    with pytest.raises(OutputError, match="stdout: No space left on device: give --output a file"):
        StdoutResults(fd=full_fd).append(make_header())

    os.close(full_fd)


def test_a_pipe_that_somebody_made_non_blocking_gets_whole_lines_all_the_same(pipe, make_cell, lines_of):
    read_fd, write_fd = pipe
    os.set_blocking(write_fd, False)
    cell = make_cell(facts={"log": "x" * 300_000})
    received = bytearray()

    async def main():
        async with trio.open_nursery() as nursery:
            nursery.start_soon(trio.to_thread.run_sync, StdoutResults(fd=write_fd).append, cell)
            while len(received) < len(lines_of(cell)):
                received.extend(await trio.to_thread.run_sync(os.read, read_fd, 65_536))

    trio.run(main)
    assert received == lines_of(cell)


def test_a_pipe_or_device_with_a_name_is_written_like_stdout(tmp_path, make_header, lines_of):
    path = tmp_path / "fifo"
    os.mkfifo(path)
    read_fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK)

    stream = open_stream(path)
    stream.append(make_header())
    stream.close()
    stream.close()
    device = open_stream(Path("/dev/null"))
    device.append(make_header())
    device.close()

    assert os.read(read_fd, 65_536) == lines_of(make_header())
    assert os.read(read_fd, 1) == b""  # closed
    os.close(read_fd)


def test_a_descriptor_with_a_name_is_written_like_stdout_and_stays_open(pipe, make_header, lines_of):
    read_fd, write_fd = pipe

    for folder in ("/dev/fd", "/proc/self/fd"):
        stream = open_stream(Path(folder) / str(write_fd))
        stream.append(make_header())
        stream.close()

    assert os.read(read_fd, 65_536) == 2 * lines_of(make_header())
    os.fstat(write_fd)


def test_streams_that_take_no_records_are_refused_at_once(tmp_path, pipe):
    os.mkfifo(tmp_path / "fifo")
    read_fd, _ = pipe

    for path, said in (
        (tmp_path / "fifo", "a pipe that nobody reads"),
        (Path("/dev/stderr"), "lines for people"),
        (Path(f"/dev/fd/{read_fd}"), "reading only"),
        (Path("/dev/fd/987654"), "is closed"),
    ):
        with pytest.raises(BadInputError, match=said) as refusal:
            open_stream(path)
        assert refusal.value.remedy


def test_files_and_what_is_not_there_are_no_streams(tmp_path):
    (tmp_path / "file").touch()

    assert [open_stream(tmp_path / name) for name in ("file", "absent", "")] == [None, None, None]
