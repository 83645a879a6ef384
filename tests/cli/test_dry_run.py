"""A dry run of several engines: what it says of each, what a death costs, what a signal does."""

import json
import os
import secrets
import signal
import subprocess
import time

import pytest

from asyncbench.errors import BackendUnavailableError
from asyncbench.memory.host.limited_group import open_limited_group
from asyncbench.stress.descendants import TOKEN_NAME, processes_with

MIB = 1 << 20
PLAN_END = "nothing was measured"
TABLE_END = "1 of 1 cell"
SLOW = {"simulated": {"open_time": "60s"}}
LIMIT_S = 30


@pytest.fixture
def token(tool):
    """A mark that every process of the tool carries."""
    tool.environment[TOKEN_NAME] = secrets.token_hex(8)
    return tool.environment[TOKEN_NAME]


@pytest.fixture
def start_dry(tool, token):
    """Return what starts a dry run of an engine per device; it is ended whatever becomes of the test."""
    started = []

    def start(**keys_of_device):
        process = tool.start("sweep", "--config", write_sweeps(tool, keys_of_device), "--dry-run")
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate(timeout=LIMIT_S)


def write_sweeps(tool, keys_of_device):
    path = tool.write_config()
    sweeps = [
        {"concurrency": 1, "batch": 1, "input": "random", "device": device, **keys}
        for device, keys in keys_of_device.items()
    ]
    path.write_text(json.dumps([{"backend": "simulated"} | sweep for sweep in sweeps]))
    return path


def read_until(process, text):
    """Return what the process says up to the line with `text`."""
    said = ""
    while text not in said:
        line = process.stderr.readline()
        assert line, said
        said += line
    return said


def wait_for_bench(token):
    deadline = time.monotonic() + LIMIT_S
    while time.monotonic() < deadline:
        for pid, command in processes_with(token).items():
            if "asyncbench.bench.main" in command:
                return pid
    return pytest.fail(f"no bench process within {LIMIT_S} s")


def end_of(process, said=""):
    """Return the exit code and all that the process has said."""
    _, rest = process.communicate(timeout=LIMIT_S)
    return process.returncode, said + rest


def test_an_engine_is_told_of_before_the_next_one_is_open(start_dry):
    process = start_dry(first={}, second=SLOW)

    said = read_until(process, TABLE_END)

    assert process.poll() is None
    assert said.index(PLAN_END) < said.index(TABLE_END)


@pytest.mark.parametrize(
    "numbers",
    [(signal.SIGINT,), (signal.SIGTERM,), (signal.SIGINT, signal.SIGINT), (signal.SIGTERM, signal.SIGTERM)],
    ids=lambda numbers: "+".join(number.name for number in numbers),
)
def test_a_signal_while_an_engine_opens_ends_it_with_130_and_nothing_is_left(start_dry, token, numbers):
    process = start_dry(first={}, second=SLOW)
    said = read_until(process, TABLE_END)

    for number in numbers:
        process.send_signal(number)
    code, said = end_of(process, said)

    assert code == 130, said
    assert "Traceback" not in said
    assert said.splitlines()[-1] == "interrupted; nothing was written"
    assert processes_with(token) == {}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_while_the_bench_process_starts_ends_it_with_130_and_nothing_is_left(start_dry, token, number):
    process = start_dry(first=SLOW)
    wait_for_bench(token)

    process.send_signal(number)
    code, said = end_of(process)

    assert code == 130, said
    assert "Traceback" not in said
    assert processes_with(token) == {}


def test_a_bench_process_that_dies_costs_one_engine_and_a_fresh_one_is_asked_for_the_next(start_dry, token):
    process = start_dry(first={}, second=SLOW, third={})
    said = read_until(process, TABLE_END)
    killed = wait_for_bench(token)

    os.kill(killed, signal.SIGKILL)
    code, said = end_of(process, said)

    assert code == 0, said
    first, rest = said.split("memory of mobilenet fp32 on second is not known: the bench process died: ")
    assert "ended by SIGKILL" in rest.splitlines()[0]
    assert (first.count(TABLE_END), rest.count(TABLE_END)) == (1, 1)
    assert processes_with(token) == {}


def test_an_engine_that_the_kernel_has_no_memory_for_is_a_line_between_the_tables_of_the_others(tool):
    # To write and open the second one takes more than 400 MiB; the two processes take about 150 MiB.
    sweeps = write_sweeps(
        tool, {"first": {}, "second": {"model": "resnet50", "backend": "onnxruntime", "device": "auto"}, "third": {}}
    )
    try:
        with open_limited_group(limit_bytes=300 * MIB) as group:
            command = group.wrap(tool.command("sweep", "--config", sweeps, "--dry-run"))
            done = subprocess.run(
                command, cwd=tool.folder, env=tool.environment, capture_output=True, text=True, check=False
            )
    except BackendUnavailableError as error:
        pytest.skip(f"no real memory control groups here: {error.message}")

    assert done.returncode == 0, done.stderr
    first, rest = done.stderr.split("memory of resnet50 fp32 is not known: ")
    assert "the kernel's out-of-memory killer ended it" in rest.splitlines()[0]
    assert (first.count(TABLE_END), rest.count(TABLE_END)) == (1, 1)


def test_an_engine_that_is_refused_is_a_line_and_the_process_goes_on(tool):
    sweeps = write_sweeps(tool, {"first": {"simulated": {"memory": "1MiB"}}, "second": {}})

    done = tool.run("sweep", "--config", sweeps, "--dry-run")

    _, rest = done.stderr.split("memory of mobilenet fp32 on first is not known: ")
    assert rest.count(TABLE_END) == 1


def test_in_a_pipe_a_cell_of_the_table_stands_on_one_line(tool):
    simulated = {"memory": "1GiB", "engine_bytes": "64MiB", "lane_bytes": "300MiB", "item_bytes": "2MiB"}
    config = tool.write_config(concurrency="1..12", batch="1", simulated=simulated)

    said = tool.run("sweep", "--config", config, "--dry-run").stderr

    (row,) = [line for line in said.splitlines() if line.strip().startswith("1 ")]
    assert row.count("GiB") + row.count("MiB") == 12


REFUSALS = {
    "no such network": {"backend": "onnxruntime", "model": "mobilnet"},
    "no such precision": {"backend": "onnxruntime", "precision": "fp16"},
    "no data set": {"backend": "onnxruntime", "mode": "accuracy"},
    "no such folder of images": {"images": "nowhere", "input": "images"},
}


@pytest.mark.slow
@pytest.mark.parametrize("keys", REFUSALS.values(), ids=REFUSALS)
def test_what_ends_the_sweep_before_its_first_cell_ends_a_dry_run_with_the_same_line_and_code(tool, keys):
    command = ["sweep", "--config", write_sweeps(tool, {"auto": keys}), "--output", "out.jsonl"]

    swept = tool.run(*command, check_code=2)
    dry = tool.run(*command, "--dry-run", check_code=2)

    assert dry.stderr.splitlines()[-1] == swept.stderr.splitlines()[-1]
    assert dry.stderr.splitlines()[-1].startswith("asyncbench: ")
    assert not (tool.folder / "out.jsonl").exists()


def test_a_refused_engine_does_not_hide_what_the_others_take(tool):
    sweeps = write_sweeps(tool, {"first": {"images": "nowhere", "input": "images"}, "second": {}})

    done = tool.run("sweep", "--config", sweeps, "--dry-run", check_code=2)

    before, after = done.stderr.split("memory of mobilenet fp32 on first is not known: ")
    assert (before.count(TABLE_END), after.count(TABLE_END)) == (0, 1)
    assert after.splitlines()[0] == done.stderr.splitlines()[-1].removeprefix("asyncbench: ")


def test_a_results_file_that_the_sweep_would_refuse_is_refused_by_a_dry_run_too(tool):
    config = tool.write_config(concurrency=1, batch=1)
    (tool.folder / "there.jsonl").write_text("mine")
    command = ["sweep", "--config", config, "--output", "there.jsonl"]

    for resume in ([], ["--resume"]):
        swept = tool.run(*command, *resume, check_code=2)
        dry = tool.run(*command, *resume, "--dry-run", check_code=2)
        assert dry.stderr.splitlines()[-1] == swept.stderr.splitlines()[-1]

    assert (tool.folder / "there.jsonl").read_text() == "mine"


def test_a_dry_run_writes_the_log_that_it_is_asked_for(tool):
    config = tool.write_config(concurrency=1, batch=1)

    tool.run("sweep", "--config", config, "--dry-run", "--log", "log.jsonl")

    assert "bench.started" in (tool.folder / "log.jsonl").read_text()
