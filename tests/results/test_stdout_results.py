from __future__ import annotations

import os
from contextlib import suppress

import pytest
import trio

from asyncbench.errors import ExitCode, OutputError
from asyncbench.results.stdout import StdoutResults


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
