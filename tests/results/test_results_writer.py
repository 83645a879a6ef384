from __future__ import annotations

import os

import pytest
import trio
import trio.testing

from asyncbench.errors import OutputError
from asyncbench.results.reader import read_results
from asyncbench.results.results_file import ResultsFile
from asyncbench.results.stdout import StdoutResults
from asyncbench.results.writer import ResultsWriter


async def test_records_of_tasks_that_end_together_are_all_written_whole(tmp_path, make_header, make_cell):
    results = ResultsFile.create(tmp_path / "results.jsonl")
    writer = ResultsWriter(results)

    await writer.append(make_header())
    async with trio.open_nursery() as nursery:
        for index in range(20):
            nursery.start_soon(writer.append, make_cell(index))

    results.close()
    assert set(read_results(results.path, allow_torn=False).cells) == set(range(20))


async def test_trio_goes_on_while_a_record_waits_for_its_reader(make_cell, lines_of):
    read_fd, write_fd = os.pipe()
    cell = make_cell(facts={"log": "x" * 100_000})  # more than the pipe takes
    writer = ResultsWriter(StdoutResults(fd=write_fd))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(writer.append, cell)
        await trio.testing.wait_all_tasks_blocked()
        received = b""
        while len(received) < len(lines_of(cell)):
            received += os.read(read_fd, 65_536)

    assert received == lines_of(cell)
    os.close(read_fd)
    os.close(write_fd)


async def test_a_record_that_was_begun_is_finished_though_its_task_is_cancelled(make_cell, lines_of):
    read_fd, write_fd = os.pipe()
    cell = make_cell(facts={"log": "x" * 100_000})
    writer = ResultsWriter(StdoutResults(fd=write_fd))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(writer.append, cell)
        await trio.testing.wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
        received = b""
        while len(received) < len(lines_of(cell)):
            received += os.read(read_fd, 65_536)

    assert received == lines_of(cell)
    os.close(read_fd)
    os.close(write_fd)


async def test_a_cancelled_task_begins_no_record(tmp_path, make_header):
    results = ResultsFile.create(tmp_path / "results.jsonl")
    writer = ResultsWriter(results)

    with trio.CancelScope() as scope:
        scope.cancel()
        await writer.append(make_header())

    results.close()
    assert scope.cancelled_caught
    assert list(tmp_path.iterdir()) == []


async def test_an_error_of_the_disk_comes_out_as_it_is(make_header):
    full_fd = os.open("/dev/full", os.O_WRONLY)

    with pytest.raises(OutputError, match="No space left"):
        await ResultsWriter(StdoutResults(fd=full_fd)).append(make_header())

    os.close(full_fd)
