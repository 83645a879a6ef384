"""A sweep whose processes are stopped in the middle of a cell: by a signal, and by the freezer."""

import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

STOPPED_S = 1.5
FREEZER = Path("/sys/fs/cgroup/freezer")


class WatchedSweep:
    """A sweep on a terminal of its own, which says what phase its cell is in."""

    def __init__(self, tool, **config):
        self._log = tool.folder / "log.jsonl"
        self._terminal, stderr = os.openpty()
        path = tool.write_config(concurrency=1, batch=1, **config)
        self._process = subprocess.Popen(
            tool.command("sweep", "--config", path, "--output", "out.jsonl", "--log", self._log),
            cwd=tool.folder,
            env=tool.environment | {"TERM": "xterm", "COLUMNS": "120", "LINES": "40"},
            stderr=stderr,
        )
        os.close(stderr)

    def wait_for(self, text):
        """Return when the terminal shows the text."""
        shown = b""
        while text.encode() not in shown:
            shown += os.read(self._terminal, 65_536)

    @property
    def pids(self):
        """The supervisor and its bench process."""
        events = map(json.loads, self._log.read_text().splitlines())
        return [self._process.pid, next(event["pid"] for event in events if event["event"] == "bench.started")]

    def wait(self):
        """Read what is shown until the sweep ends; return its exit code."""
        try:
            while os.read(self._terminal, 65_536):
                pass
        except OSError:  # how Linux says that the other end of a terminal is closed
            pass
        os.close(self._terminal)
        return self._process.wait(timeout=60)


def stop_for_a_while(pids):
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    time.sleep(STOPPED_S)  # the stimulus itself: nothing is waited for
    for pid in pids:
        os.kill(pid, signal.SIGCONT)


LENGTHS = {
    "duration": {"duration": "4s"},
    "iterations": {"iterations": 2_000, "simulated": {"service": {"median": "2ms"}}},
    "stop rule": {"stop": {"median": "0.01%", "p99": "0.01%", "max": "4s"}},
}


@pytest.mark.parametrize(
    ("length", "stopped"), [(length, slice(0, 2)) for length in LENGTHS] + [("duration", slice(1, 2))]
)
def test_a_cell_in_which_the_process_was_stopped_is_invalid_and_says_for_how_long(tool, length, stopped):
    sweep = WatchedSweep(tool, **LENGTHS[length])
    sweep.wait_for("measuring,")

    stop_for_a_while(sweep.pids[stopped])

    assert sweep.wait() == 3
    (cell,) = tool.cells()
    assert (cell["status"], cell["reasons"][0]["code"]) == ("invalid", "stood_still")
    assert cell["reasons"][0]["text"].startswith("the process stood still for 1.")
    assert cell["stalls"]["longest_ns"] > 1_000_000_000
    assert tool.records()[-1]["best_throughput"] is None
    assert tool.records()[-1]["knee"] is None


def test_a_supervisor_that_was_stopped_alone_harms_nothing(tool):
    sweep = WatchedSweep(tool, duration="3s")
    sweep.wait_for("measuring,")

    stop_for_a_while(sweep.pids[:1])

    assert sweep.wait() == 0
    assert "stood_still" not in {reason["code"] for reason in tool.cells()[0]["reasons"]}


def test_a_stop_during_the_warm_up_does_not_reach_the_window(tool):
    sweep = WatchedSweep(tool, warmup="1.5s", duration="1s")
    sweep.wait_for("warming up,")

    stop_for_a_while(sweep.pids)

    assert sweep.wait() == 0
    (cell,) = tool.cells()
    assert "stood_still" not in {reason["code"] for reason in cell["reasons"]}
    assert cell["warmup"]["duration_ns"] > 1_500_000_000


def test_a_frozen_group_is_a_process_that_stood_still(tool):
    group = FREEZER / f"asyncbench-{os.getpid()}"
    try:
        group.mkdir()
    except OSError as error:
        pytest.skip(f"no freezer group can be made here: {error}")
    try:
        sweep = WatchedSweep(tool, duration="4s")
        sweep.wait_for("measuring,")
        for pid in sweep.pids:
            (group / "cgroup.procs").write_text(str(pid))
        (group / "freezer.state").write_text("FROZEN")
        time.sleep(STOPPED_S)  # the stimulus itself
        (group / "freezer.state").write_text("THAWED")

        assert sweep.wait() == 3
    finally:
        (group / "freezer.state").write_text("THAWED")
        group.rmdir()
    assert tool.cells()[0]["reasons"][0]["code"] == "stood_still"
