"""Real `asyncbench` processes on simulated devices."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

QUICK_STOP = {"median": "50%", "p99": "100%", "min": "0.05s", "max": "0.1s"}
ROOT = Path(__file__).parents[2]


class Tool:
    """Runs the command line as a user would, in an empty folder."""

    def __init__(self, folder):
        self.folder = folder
        self.environment = {**os.environ, "ASYNCBENCH_CACHE": str(folder / "cache"), "PYTHONPATH": str(ROOT)}

    def write_config(self, name="sweep.json", **keys):
        path = self.folder / name
        path.write_text(json.dumps({"backend": "simulated", "stop": QUICK_STOP, "warmup": "none"} | keys))
        return path

    def command(self, *arguments):
        return [sys.executable, "-m", "asyncbench", *map(str, arguments)]

    def run(self, *arguments, check_code=0):
        done = subprocess.run(
            self.command(*arguments),
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == check_code, done.stderr
        return done

    def start(self, *arguments):
        return subprocess.Popen(
            self.command(*arguments),
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def records(self, name="out.jsonl"):
        return [json.loads(line) for line in (self.folder / name).read_text().splitlines()]

    def cells(self, name="out.jsonl"):
        return [record for record in self.records(name) if record["kind"] == "cell"]


@pytest.fixture(scope="session")
def make_tool():
    """Return what a fixture of a module makes a tool with, given a folder."""
    return Tool


@pytest.fixture
def tool(tmp_path):
    return Tool(tmp_path)


@pytest.fixture
def docs():
    return ROOT / "docs"
