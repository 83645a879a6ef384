"""A sweep under Trio: records as they come; however it is left, the file is whole and the bench process gone."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import pytest
import trio
from onnx import TensorProto, helper

import asyncbench
from asyncbench import BadInputError
from asyncbench.results.status import Status
from asyncbench.supervisor.events import CellStarted, Notice, RecordWritten

pytestmark = pytest.mark.slow


async def records_of(running):
    """Return the records of a sweep to its end."""
    return [record async for record in running]


async def read_all(sweep, **options):
    async with asyncbench.open_sweep(sweep, **options) as running:
        await records_of(running)
    return running


def kinds(records):
    return [record.kind for record in records]


def is_open(path):
    """Return whether this process still has a file open, and with it the lock."""
    return str(path) in {os.path.realpath(link) for link in Path("/proc/self/fd").iterdir()}


def interrupted(results):
    """Return whether a file is one of a sweep that was ended early, and whole."""
    return results.trailer is not None and results.trailer.exit_code == 130


async def test_records_come_in_order_header_cells_trailer(make_sweep, tmp_path):
    async with asyncbench.open_sweep(make_sweep(), output=tmp_path / "r.jsonl") as running:
        records = await records_of(running)

    assert kinds(records) == ["header", "cell", "cell", "trailer"]
    assert [record.index for record in records[1:-1]] == [0, 1]
    assert asyncbench.read(tmp_path / "r.jsonl") == running.results


async def test_without_an_output_nothing_is_written(make_sweep, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    running = await read_all(make_sweep())

    assert running.path is None
    assert len(running.results.cells) == 2
    assert list(tmp_path.glob("*.jsonl")) == []


async def test_leaving_early_records_the_running_cell_and_the_trailer(make_sweep, long_cell, tmp_path):
    async with asyncbench.open_sweep(make_sweep(**long_cell), output=tmp_path / "r.jsonl") as running:
        async for record in running:
            assert record.kind == "header"
            break

    results = asyncbench.read(tmp_path / "r.jsonl")
    assert interrupted(results)
    assert [cell.status for cell in results.cells] in ([], [Status.INTERRUPTED])
    assert running.exit_code == 130
    assert not is_open(tmp_path / "r.jsonl")


async def test_an_error_of_the_body_comes_out_as_it_is(make_sweep, long_cell, tmp_path):
    async def fail():
        async with asyncbench.open_sweep(make_sweep(**long_cell), output=tmp_path / "r.jsonl") as running:
            await anext(running)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()

    assert interrupted(asyncbench.read(tmp_path / "r.jsonl"))


async def test_a_cancelled_sweep_drains_first(make_sweep, long_cell, tmp_path):
    started = trio.Event()

    def note(event):
        if isinstance(event, CellStarted):
            started.set()

    async with trio.open_nursery() as nursery:

        async def sweep():
            await read_all(make_sweep(**long_cell), output=tmp_path / "r.jsonl", subscribers=[note])

        nursery.start_soon(sweep)
        await started.wait()
        nursery.cancel_scope.cancel()

    results = asyncbench.read(tmp_path / "r.jsonl")
    assert interrupted(results)
    assert [cell.status for cell in results.cells] == [Status.INTERRUPTED]
    assert not is_open(tmp_path / "r.jsonl")


async def test_stop_ends_the_stream_with_the_trailer(make_sweep, long_cell):
    async with asyncbench.open_sweep(make_sweep(**long_cell)) as running:
        records = []
        async for record in running:
            records.append(record)
            running.stop()

    assert kinds(records)[-1] == "trailer"


async def test_abort_does_not_wait_for_what_is_in_flight(make_sweep, long_cell):
    hanging = {**long_cell, "simulated": {"service": {"median": "5m"}}}

    async with asyncbench.open_sweep(make_sweep(**hanging)) as running:
        async for record in running:
            if record.kind == "header":
                running.abort()

    assert running.exit_code == 130


async def test_a_subscriber_is_told_of_every_record_after_it_was_written(make_sweep, tmp_path):
    path, seen = tmp_path / "r.jsonl", []

    def note(event):
        if isinstance(event, RecordWritten):
            seen.append((event.record.kind, len(path.read_bytes().splitlines())))

    await read_all(make_sweep(), output=path, subscribers=[note])

    assert seen == [("header", 1), ("cell", 2), ("cell", 3), ("trailer", 4)]


async def test_an_error_of_a_subscriber_ends_the_sweep_and_is_raised(make_sweep, tmp_path):
    def fail(event):
        if isinstance(event, RecordWritten):
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await read_all(make_sweep(), output=tmp_path / "r.jsonl", subscribers=[fail])


async def test_a_subscriber_that_exits_the_program_does_so(make_sweep):
    with pytest.raises(SystemExit) as ended:
        await read_all(make_sweep(), subscribers=[lambda _: sys.exit(7)])

    assert ended.value.code == 7


async def test_a_context_that_was_left_runs_nothing_more(make_sweep):
    context = asyncbench.open_sweep(make_sweep())
    async with context as running:
        running.stop()

    with pytest.raises(BadInputError, match="this sweep was run already: call open_sweep again"):
        async with context:
            pass


def test_another_event_loop_is_told_what_to_call(make_sweep):
    async def enter():
        async with asyncbench.open_sweep(make_sweep()):
            pass

    with pytest.raises(BadInputError, match=r"no Trio is running: use trio\.run, or asyncbench\.run"):
        asyncio.run(enter())


async def test_a_refused_engine_is_raised_where_records_are_waited_for_and_leaves_no_file(make_sweep, tmp_path):
    with pytest.raises(BadInputError) as refused:
        await read_all(make_sweep(tensorrt={"depth": 4}), output=tmp_path / "r.jsonl")

    assert "only the tensorrt backend knows this" in refused.value.message
    assert not (tmp_path / "r.jsonl").exists()


async def test_a_failed_sweep_is_told_of_on_leaving_where_nobody_waited_for_records(make_sweep):
    async def wait():
        async with asyncbench.open_sweep(make_sweep(tensorrt={"depth": 4})) as running:
            await running.wait_ended()

    with pytest.raises(BadInputError, match="only the tensorrt backend"):
        await wait()


async def test_a_model_that_is_none_is_refused_before_the_file_is_made(tmp_path):
    (tmp_path / "net.onnx").write_bytes(b"no network")
    sweep = asyncbench.Sweep(model_file=tmp_path / "net.onnx", backend="onnxruntime")

    with pytest.raises(BadInputError, match=r"net\.onnx"):
        await read_all(sweep, output=tmp_path / "r.jsonl")

    assert not (tmp_path / "r.jsonl").exists()


async def test_what_a_network_decides_is_told_and_measured(tmp_path):
    """A network with a batch of its own is measured at that, as on the command line."""
    graph = helper.make_graph(
        [helper.make_node("Relu", ["x"], ["y"])],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [4, 8])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [4, 8])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    path, notices = tmp_path / "four.onnx", []
    path.write_bytes(model.SerializeToString())
    sweep = asyncbench.Sweep(
        model_file=path, backend="onnxruntime", input="random", concurrency=1, iterations=5, warmup="none"
    )

    running = await read_all(
        sweep, subscribers=[lambda event: notices.append(event.text) if isinstance(event, Notice) else None]
    )

    assert [cell.batch for cell in running.results.cells] == [4]
    assert notices == [f"{path} has a fixed batch of 4: measured at batch 4"]


async def test_a_file_that_is_there_is_refused_and_left_as_it_is(make_sweep, tmp_path):
    (tmp_path / "r.jsonl").write_text("mine\n")

    with pytest.raises(BadInputError, match="exists"):
        async with asyncbench.open_sweep(make_sweep(), output=tmp_path / "r.jsonl"):
            pass

    assert (tmp_path / "r.jsonl").read_text() == "mine\n"


async def test_a_sweep_that_was_left_is_gone_on_with(make_sweep, tmp_path):
    path, notices = tmp_path / "r.jsonl", []
    async with asyncbench.open_sweep(make_sweep(concurrency="1..3"), output=path) as running:
        async for record in running:
            if record.kind == "cell":
                break

    def note(event):
        if isinstance(event, Notice):
            notices.append(event.text)

    for _ in range(2):
        running = await read_all(make_sweep(concurrency="1..3"), output=path, resume=True, subscribers=[note])

    assert [cell.index for cell in running.results.cells] == [0, 1, 2]
    assert notices[0].startswith(f"going on with {path}: ")
    assert notices[-1] == f"{path}: nothing is left to measure"
    assert asyncbench.read(path).cells == running.results.cells
