"""What people see on a terminal, whatever the environment says of its size."""

import os
import pty
import select
import subprocess

import pytest

from asyncbench.cli.show.terminal import people_console

LIMIT_S = 60

ODD_SIZES = [
    {"COLUMNS": "0"},
    {"COLUMNS": "0", "LINES": "0"},
    {"LINES": "0"},
    {"COLUMNS": "abc"},
    {"COLUMNS": "-5"},
    {"COLUMNS": ""},
    {"COLUMNS": "²"},
]


def shown_on_a_terminal(tool, *arguments, **environment):
    """Return what a command shows on a terminal of no known size."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        tool.command(*arguments),
        cwd=tool.folder,
        env={**tool.environment, "TERM": "xterm", **environment},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    )
    os.close(theirs)
    said = b""
    try:
        while select.select([ours], [], [], LIMIT_S)[0]:
            said += os.read(ours, 4096)
    except OSError:  # how a terminal says that nobody writes to it any more
        pass
    finally:
        os.close(ours)
        process.kill()
    return process.wait(), said.decode()


@pytest.mark.slow
@pytest.mark.parametrize(
    "environment", [{"COLUMNS": "0", "LINES": "0"}, {"COLUMNS": "²"}, {"TERM": "dumb"}, {"TERM": ""}], ids=str
)
def test_a_sweep_is_shown_whatever_the_environment_says_of_the_terminals_size(tool, environment):
    config = tool.write_config(concurrency=1, batch=1)

    _, said = shown_on_a_terminal(tool, "sweep", "--config", config, "--output", "out.jsonl", **environment)

    assert "Traceback" not in said
    assert "items/s" in said
    assert "best throughput:" in said
    assert "records: out.jsonl" in said


@pytest.mark.parametrize("environment", ODD_SIZES, ids=str)
def test_a_size_that_is_none_leaves_it_to_the_terminal_or_to_80_columns(monkeypatch, environment):
    monkeypatch.delenv("COLUMNS", raising=False)
    monkeypatch.delenv("LINES", raising=False)
    plain = people_console().size
    for key, value in environment.items():
        monkeypatch.setenv(key, value)

    assert people_console().size == plain
    assert plain.width > 0


def test_a_size_that_is_one_counts(monkeypatch):
    monkeypatch.setenv("COLUMNS", "132")
    monkeypatch.setenv("LINES", "43")

    assert people_console().size == (132, 43)
