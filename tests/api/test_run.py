"""`run`: blocking, wherever it is called; silent; Ctrl-C keeps what was written."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import trio

import asyncbench

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]


def test_two_sweeps_one_after_the_other_give_the_results_of_each(make_sweep, tmp_path):
    first = asyncbench.run(make_sweep(), output=tmp_path / "r.jsonl")
    second = asyncbench.run([make_sweep(concurrency=1), make_sweep(concurrency=1, model="resnet50")])

    assert [(cell.model, cell.concurrency) for cell in first.cells] == [("mobilenet", 1), ("mobilenet", 2)]
    assert [cell.model for cell in second.cells] == ["mobilenet", "resnet50"]
    assert first == asyncbench.read(tmp_path / "r.jsonl")


def test_two_sweeps_in_two_threads_do_not_meet(make_sweep):
    with ThreadPoolExecutor(2) as threads:
        both = list(threads.map(asyncbench.run, [make_sweep(), make_sweep(model="resnet50")]))

    assert [{cell.model for cell in results.cells} for results in both] == [{"mobilenet"}, {"resnet50"}]
    assert both[0].header.sweep_id != both[1].header.sweep_id


def test_it_works_inside_a_running_asyncio_loop(make_sweep):
    async def main():  # a coroutine is what the loop runs
        return asyncbench.run(make_sweep())

    assert len(asyncio.run(main()).cells) == 2


def test_it_works_inside_of_running_trio(make_sweep):
    async def main():  # see above
        return asyncbench.run(make_sweep())

    assert len(trio.run(main).cells) == 2


def test_an_error_is_raised_as_it_is(make_sweep):
    with pytest.raises(asyncbench.BadInputError, match="only the tensorrt backend knows this"):
        asyncbench.run(make_sweep(tensorrt={"depth": 4}))


def start(program, folder):
    environment = {**os.environ, "ASYNCBENCH_CACHE": str(folder / "cache"), "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(program)],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_nothing_is_printed_and_logging_stays_as_it_was(tmp_path):
    program = """
        import logging, signal, structlog
        import asyncbench
        before = (list(logging.root.handlers), structlog.is_configured(), signal.getsignal(signal.SIGINT))
        asyncbench.run(asyncbench.Sweep(backend="simulated", concurrency=1, batch=1, iterations=5, warmup="none"))
        assert before == (list(logging.root.handlers), structlog.is_configured(), signal.getsignal(signal.SIGINT))
    """
    done = start(program, tmp_path)

    assert done.communicate(timeout=60) == ("", "")
    assert done.returncode == 0


def test_a_program_without_stdin_stdout_and_stderr_runs_sweeps(tmp_path):
    program = """
        import os, sys
        sys.stdout = sys.stderr = None
        for descriptor in range(3):
            os.close(descriptor)
        import asyncbench
        sweep = asyncbench.Sweep(backend="simulated", concurrency=1, batch=1, iterations=5, warmup="none")
        asyncbench.run(sweep, output="r.jsonl")
    """
    done = start(program, tmp_path)

    assert done.communicate(timeout=60) == ("", "")
    assert done.returncode == 0
    assert len(asyncbench.read(tmp_path / "r.jsonl").cells) == 1


def test_ctrl_c_ends_the_bench_process_and_keeps_what_was_written(tmp_path):
    program = """
        import asyncbench
        from asyncbench.supervisor.events import CellStarted
        def note(event):
            if isinstance(event, CellStarted) and event.index == 1:
                print("second", flush=True)
        sweep = asyncbench.Sweep(
            backend="simulated", concurrency="1..3", batch=1, duration="3s", warmup="none"
        )
        try:
            asyncbench.run(sweep, output="r.jsonl", subscribers=[note])
        except KeyboardInterrupt:
            print("interrupted", flush=True)
    """
    program = start(program, tmp_path)
    assert program.stdout.readline() == "second\n"

    program.send_signal(signal.SIGINT)

    assert program.communicate(timeout=60) == ("interrupted\n", "")
    results = asyncbench.read(tmp_path / "r.jsonl")
    assert [str(cell.status) for cell in results.cells][1:] == ["interrupted"]
    assert results.trailer.exit_code == 130


def test_importing_the_library_and_running_sweeps_takes_no_numpy(tmp_path):
    program = """
        import sys
        import asyncbench
        heavy = {"pydantic", "trio", "numpy", "onnx", "onnxruntime", "cv2", "scipy"}
        assert not heavy & set(sys.modules), heavy & set(sys.modules)
        asyncbench.Sweep, asyncbench.run, asyncbench.open_sweep, asyncbench.read
        assert not {"numpy", "onnx", "onnxruntime", "cv2", "scipy", "typer"} & set(sys.modules)
    """
    done = start(program, tmp_path)

    assert done.communicate(timeout=60) == ("", "")
