"""Closed, full and broken standard streams, logs and outputs: records are whole, whatever becomes of the spectators."""

import json
import os
import pty
import signal
import subprocess
from contextlib import suppress

import pytest
import trio

from asyncbench.cli.people_stream import GuardedOutput
from asyncbench.cli.sweep import read_configs
from asyncbench.errors import BadInputError
from asyncbench.sweep.config import SweepConfig
from asyncbench.sweep.loading import read_flags

slow = pytest.mark.slow


def run_in_shell(tool, redirections, *arguments):
    """Run a command with the redirections of a shell."""
    return subprocess.run(
        ["bash", "-c", f'"$0" "$@" {redirections}', *tool.command(*arguments)],
        cwd=tool.folder,
        env=tool.environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def sweep_arguments(tool, *more, output="out.jsonl", **keys):
    return ("sweep", "--config", tool.write_config(**{"concurrency": 1, "batch": 1} | keys), "--output", output, *more)


def kinds(tool, name="out.jsonl"):
    return [record["kind"] for record in tool.records(name)]


@slow
@pytest.mark.parametrize("redirections", [">&-", "2>&-", "<&- >&- 2>&-", "2>/dev/full", "2>&1 | head -c 1"])
def test_a_sweep_into_a_file_needs_no_standard_stream(tool, redirections):
    done = run_in_shell(tool, f"{redirections}; exit ${{PIPESTATUS[0]}}", *sweep_arguments(tool))

    assert done.returncode == 0, done.stderr
    assert kinds(tool) == ["header", "cell", "trailer"]
    assert "Traceback" not in done.stderr


@slow
def test_a_reader_that_stands_still_does_not_hold_up_the_sweep(tool):
    read_fd, write_fd = os.pipe()
    os.set_blocking(write_fd, False)
    with suppress(BlockingIOError):
        while True:
            os.write(write_fd, b"x" * 4096)
    os.set_blocking(write_fd, True)

    command = tool.command(*sweep_arguments(tool, "--verbose"))
    done = subprocess.run(command, cwd=tool.folder, env=tool.environment, stderr=write_fd, timeout=120, check=False)

    assert done.returncode == 0
    assert kinds(tool) == ["header", "cell", "trailer"]
    os.close(read_fd)
    os.close(write_fd)


@slow
def test_a_terminal_that_went_away_does_not_end_the_sweep(tool):
    terminal, end = pty.openpty()
    command = tool.command(*sweep_arguments(tool, duration="1s"))
    process = subprocess.Popen(command, cwd=tool.folder, env=tool.environment, stdout=end, stderr=end)
    os.close(end)
    shown = b""
    while b"mobilenet" not in shown:  # the table that it draws has begun
        shown += os.read(terminal, 65_536)

    os.close(terminal)

    assert process.wait(timeout=60) == 0
    assert kinds(tool) == ["header", "cell", "trailer"]


@slow
def test_a_hang_up_that_was_ignored_when_the_sweep_began_stays_ignored(tool):
    command = tool.command(*sweep_arguments(tool, "--log", "log.jsonl", duration="1s"))
    ignoring = ["sh", "-c", "trap '' HUP; exec \"$@\"", "sh"]
    process = subprocess.Popen([*ignoring, *command], cwd=tool.folder, env=tool.environment, stderr=subprocess.PIPE)
    tool.wait_for_text("log.jsonl", '"cell.started"')

    process.send_signal(signal.SIGHUP)
    process.communicate(timeout=60)

    assert process.returncode == 0
    assert kinds(tool) == ["header", "cell", "trailer"]


@slow
def test_nothing_for_people_gets_among_the_records_where_stderr_is_closed(tool):
    done = run_in_shell(tool, "2>&-", *sweep_arguments(tool, "--verbose", output="-"))

    assert [json.loads(line)["kind"] for line in done.stdout.splitlines()] == ["header", "cell", "trailer"]


@slow
@pytest.mark.parametrize("output", ["-", "/dev/stdout", "/dev/fd/1"])
def test_records_for_a_closed_stdout_are_refused_before_anything_runs(tool, output):
    done = run_in_shell(tool, ">&-", *sweep_arguments(tool, output=output))

    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert "closed" in line


@slow
@pytest.mark.parametrize("redirections", [">/dev/full", "| true"])
def test_records_that_stdout_does_not_take_end_the_sweep_with_one_line(tool, redirections):
    done = run_in_shell(tool, f"{redirections}; exit ${{PIPESTATUS[0]}}", *sweep_arguments(tool, output="-"))

    assert done.returncode == 2
    *_, line = [line for line in done.stderr.splitlines() if line.startswith("asyncbench: ")]
    assert line.startswith("asyncbench: stdout: ")
    assert "--output" in line.split(": ")[-1]


@slow
def test_streams_with_names_take_records_as_stdout_does(tool):
    done = run_in_shell(tool, "", *sweep_arguments(tool, output="/dev/stdout"))
    into_file = run_in_shell(tool, ">redirected.jsonl", *sweep_arguments(tool, output="/dev/stdout"))
    nowhere = run_in_shell(tool, "", *sweep_arguments(tool, output="/dev/null"))

    assert [json.loads(line)["kind"] for line in done.stdout.splitlines()] == ["header", "cell", "trailer"]
    assert into_file.returncode == 0, into_file.stderr
    assert kinds(tool, "redirected.jsonl") == ["header", "cell", "trailer"]
    assert nowhere.returncode == 0, nowhere.stderr


@slow
@pytest.mark.parametrize("arguments", [["--help"], ["schema", "record"]])
def test_an_answer_that_stdout_does_not_take_is_one_line_and_a_reader_that_has_seen_enough_is_none(tool, arguments):
    full = run_in_shell(tool, ">/dev/full", *arguments)
    closed = run_in_shell(tool, ">&-", *arguments)
    enough = run_in_shell(tool, "| true; exit ${PIPESTATUS[0]}", *arguments)

    assert (full.returncode, full.stderr.count("\n")) == (2, 1)
    assert full.stderr.startswith("asyncbench: stdout: No space left on device")
    assert (closed.returncode, closed.stderr) == (2, "asyncbench: stdout is closed: send it somewhere\n")
    assert (enough.returncode, enough.stderr) == (0, "")


@slow
def test_a_log_whose_disk_is_full_ends_nothing_and_is_told_of(tool):
    done = tool.run(*sweep_arguments(tool, "--log", "/dev/full"))

    assert kinds(tool) == ["header", "cell", "trailer"]
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("--log")]
    assert line.startswith("--log /dev/full: No space left on device: ")
    assert line.endswith(" lines are missing")


@slow
def test_a_log_that_would_hang_or_spoil_the_records_is_refused_at_once(tool):
    os.mkfifo(tool.folder / "fifo")

    hangs = tool.run(*sweep_arguments(tool, "--log", "fifo"), check_code=2)
    spoils = tool.run(*sweep_arguments(tool, "--log", "./out.jsonl"), check_code=2)
    report = tool.run("stress", "--report", "fifo", check_code=2)

    assert "--log fifo: a pipe or socket that nobody reads" in hangs.stderr
    assert "--log out.jsonl: that is where the records go" in spoils.stderr
    assert "--report fifo: a pipe or socket that nobody reads" in report.stderr
    assert not (tool.folder / "out.jsonl").exists()


@slow
def test_two_sweeps_of_one_second_get_a_file_each(tool):
    config = tool.write_config(concurrency=1, batch=1)
    sweeps = [tool.start("sweep", "--config", config) for _ in range(2)]

    said = [sweep.communicate(timeout=120)[1] for sweep in sweeps]

    assert [sweep.returncode for sweep in sweeps] == [0, 0], said
    files = list((tool.folder / "results").iterdir())
    assert len(files) == 2
    for path in files:
        assert [json.loads(line)["kind"] for line in path.read_text().splitlines()] == ["header", "cell", "trailer"]


@slow
def test_a_file_that_another_sweep_writes_is_refused_before_an_engine_is_opened(tool):
    first = tool.start(*sweep_arguments(tool, simulated={"open_time": "60s"}))
    first.stderr.readline()  # it is opening its engine

    second = tool.run(*sweep_arguments(tool), check_code=2)
    first.send_signal(signal.SIGTERM)
    first.communicate(timeout=60)

    assert second.stderr.startswith(f"asyncbench: out.jsonl: another sweep is writing it (process {first.pid})")
    assert "opening" not in second.stderr
    assert first.returncode == 130
    assert not (tool.folder / "out.jsonl").exists()


@slow
def test_a_results_file_that_is_deleted_while_the_sweep_runs_is_rescued_and_told_of(tool):
    arguments = sweep_arguments(tool, concurrency="1,2")
    process = tool.start(*arguments)
    tool.wait_for_text("out.jsonl", '"header"')
    (tool.folder / "out.jsonl").unlink()

    _, said = process.communicate(timeout=60)

    assert process.returncode == 2
    rescued = "out.rescued-1.jsonl"
    assert kinds(tool, rescued) == ["header", "cell", "cell", "trailer"]
    assert tool.records(rescued)[-1]["exit_code"] == 2
    assert f"out.jsonl was deleted while the sweep ran: all its records are in {rescued} now" in said
    assert said.splitlines()[-1] == f"records: {rescued}; out.jsonl was deleted while the sweep ran"


@pytest.fixture
def pipe():
    fds = os.pipe()
    yield fds
    for fd in fds:
        with suppress(OSError):  # the test closed it
            os.close(fd)


def test_what_cannot_be_shown_raises_nothing_and_is_remembered(pipe):
    read_fd, write_fd = pipe
    os.close(read_fd)
    output = GuardedOutput(write_fd, best_effort=False)

    assert output.write(b"gone") == 4
    assert isinstance(output.failure, BrokenPipeError)


async def test_an_answer_longer_than_the_pipe_arrives_whole_though_it_does_not_block(pipe):
    read_fd, write_fd = pipe
    os.set_blocking(write_fd, False)
    text = os.urandom(300_000)
    received = bytearray()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.to_thread.run_sync, GuardedOutput(write_fd, best_effort=False).write, text)
        while len(received) < len(text):
            received += await trio.to_thread.run_sync(os.read, read_fd, 65_536)

    assert received == text


def test_lines_for_people_that_nobody_takes_are_dropped_until_somebody_does(pipe):
    read_fd, write_fd = pipe
    output = GuardedOutput(write_fd, best_effort=True)
    output.write(b"x" * 1_000_000)  # more than the pipe takes
    output.write(b"dropped")

    os.read(read_fd, 1_000_000)
    output.write(b"taken")

    assert os.read(read_fd, 1_000_000) == b"taken"
    assert output.failure is None


def test_a_terminal_that_takes_nothing_more_holds_nobody_up():
    terminal, end = pty.openpty()
    output = GuardedOutput(end, best_effort=True)

    for _ in range(3):
        output.write(b"line\n" * 50_000)  # more than it takes

    shown = os.read(terminal, 1_000_000)
    assert shown.startswith(b"line\r\nline\r\n")
    assert output.failure is None
    os.close(terminal)
    os.close(end)


BOTH = '{"backend": "simulated", "batch": 4}'


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_configuration_is_read_with_the_marks_of_windows(tmp_path, encoding):
    path = tmp_path / "sweep.json"
    path.write_bytes(BOTH.replace(",", ",\r\n").encode(encoding))

    (config,) = read_configs(path, read_flags({}))

    assert config.batch == SweepConfig(batch=4).batch


def test_a_configuration_that_never_ends_is_refused(tmp_path):
    os.mkfifo(tmp_path / "fifo")

    for path, said in ((tmp_path / "fifo", "pipe"), ("/dev/zero", "device"), (tmp_path, "folder")):
        with pytest.raises(BadInputError, match=said):
            read_configs(type(tmp_path)(path), read_flags({}))
