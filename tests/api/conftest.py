"""Sweeps of simulated devices, run by the library."""

import os
import signal
from pathlib import Path

import pytest

import asyncbench

QUICK_STOP = {"median": "50%", "p99": "100%", "min": "0.05s", "max": "0.1s"}


def processes_of(pid):
    """Return the children of a process, and theirs, that have not ended."""
    children = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == pid and fields[0] != "Z":
            children.append(int(stat.parent.name))
    return [*children, *(inner for child in children for inner in processes_of(child))]


@pytest.fixture(autouse=True)
def nothing_left_behind(tmp_path, monkeypatch):
    """No process outlives what started it, and signals do what they did."""
    monkeypatch.setenv("ASYNCBENCH_CACHE", str(tmp_path / "cache"))
    before = set(processes_of(os.getpid()))  # another test's helpers, perhaps
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)}
    yield
    assert set(processes_of(os.getpid())) <= before
    assert {number: signal.getsignal(number) for number in handlers} == handlers


@pytest.fixture
def make_sweep():
    """Return what makes a short sweep; keys win over those of a short one."""

    def make(**keys):
        quick = {"backend": "simulated", "concurrency": "1..2", "batch": 1, "stop": QUICK_STOP, "warmup": "none"}
        return asyncbench.Sweep(**{**quick, **keys})

    return make


@pytest.fixture
def long_cell():
    """The keys of a cell that nobody waits for."""
    return {"concurrency": "1..4", "stop": None, "duration": "10m"}
