"""`asyncbench stress` as a process, with a cache of its own: by it all that it starts can be found again."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


class StressTool:
    """Runs the command line in an empty folder."""

    def __init__(self, folder):
        self.folder = folder
        self.mark = f"ASYNCBENCH_CACHE={folder / 'cache'}"
        name, _, value = self.mark.partition("=")
        self._environment = {**os.environ, name: value, "PYTHONPATH": str(ROOT)}

    def start(self, *arguments):
        return subprocess.Popen(
            [sys.executable, "-m", "asyncbench", "stress", *map(str, arguments)],
            cwd=self.folder,
            env=self._environment,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, *arguments, check_code=0):
        with self.start(*arguments) as process:
            _, said = process.communicate(timeout=150)
        assert process.returncode == check_code, said
        return said

    def live_processes(self):
        """Return the pids of all that was started and has not ended."""
        found = []
        for folder in Path("/proc").iterdir():
            try:
                if folder.name.isdigit() and self.mark.encode() in (folder / "environ").read_bytes().split(b"\0"):
                    found.append(int(folder.name))
            except OSError:
                continue
        return found


@pytest.fixture
def stress_tool(tmp_path):
    return StressTool(tmp_path)
