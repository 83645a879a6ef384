"""Real processes, killed; real disks, full."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from asyncbench.results.reader import read_results

PROCESSES = Path(__file__).parent / "processes"
KILLS = 40
UNLIMITED = 0


def run_python(script, *args, before=()):
    command = [*before, sys.executable, str(PROCESSES / script), *map(str, args)]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout


@pytest.mark.slow
def test_killing_the_writer_at_any_instant_loses_at_most_the_record_it_was_writing(tmp_path, golden_path):
    output = run_python("killed_writer.py", tmp_path, golden_path, KILLS, 1)

    left = [json.loads(line) for line in output.splitlines()]
    assert len(left) == KILLS
    for each in left:
        assert each["read"] == list(range(len(each["read"])))
        assert len(each["read"]) - each["finished"] in (0, 1)
    assert any(each["finished"] for each in left)  # or else no kill came while records were being written


def test_a_file_at_its_size_limit_keeps_whole_lines_and_can_be_gone_on_with(tmp_path, golden_path):
    path = tmp_path / "results.jsonl"

    answer = json.loads(run_python("full_disk_writer.py", path, golden_path, 9_000))

    assert "File too large" in answer["message"]
    assert answer["remedy"] == "raise the limit on file sizes (ulimit -f), then go on with --resume"
    read = read_results(path, allow_torn=False)
    assert sorted(read.cells) == list(range(len(answer["finished"])))  # one more after the limit was raised
    assert len(read.cells) > 1


def test_no_room_for_the_header_leaves_no_file(tmp_path, golden_path):
    answer = json.loads(run_python("full_disk_writer.py", tmp_path / "results.jsonl", golden_path, 100))

    assert answer["finished"] == []
    assert "then start again" in answer["remedy"]
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def small_disk(tmp_path):
    """Return how to start a process that sees a full-size folder of 64 KiB, gone when the process is."""
    prefix = ("unshare", "--map-root-user", "--mount", "sh", "-c", 'mount -t tmpfs -o size=64k none "$0" && exec "$@"')
    before = (*prefix, str(tmp_path))
    probe = subprocess.run([*before, "true"], capture_output=True, text=True, check=False)
    if probe.returncode:
        pytest.skip(f"this machine allows no private mounts: {probe.stderr.strip()}")
    return before


def test_a_full_disk_keeps_whole_lines(small_disk, tmp_path, golden_path):
    path = tmp_path / "results.jsonl"

    answer = json.loads(run_python("full_disk_writer.py", path, golden_path, UNLIMITED, before=small_disk))

    assert "No space left on device" in answer["message"]
    assert answer["remedy"] == "free space there, then go on with --resume"
    lines = answer["file"].splitlines(keepends=True)
    assert len(lines) == len(answer["finished"]) > 1
    assert [json.loads(line).get("index", "header") for line in lines] == answer["finished"]
    assert lines[-1].endswith("\n")
    assert not os.path.lexists(path)  # it was on the small disk indeed
