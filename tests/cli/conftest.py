"""Real `asyncbench` processes on simulated devices."""

import json
import os
import selectors
import signal
import socket
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path

import pytest

from asyncbench.testing import write_distribution

QUICK_STOP = {"median": "50%", "p99": "100%", "min": "0.05s", "max": "0.1s"}
ROOT = Path(__file__).parents[2]
RUN_LIMIT_S = 120


class Forks:
    """Runs commands in forks of a process that has imported the command line: see forked_runs."""

    def __init__(self):
        self._connection, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs:
            program = Path(__file__).with_name("forked_runs.py")
            environment = {**os.environ, "PYTHONPATH": str(ROOT)}
            self._process = subprocess.Popen([sys.executable, program], stdin=theirs, env=environment)

    def run(self, command, *, folder, environment):
        """Run a command to its end, as `subprocess.run` does."""
        request = {"command": command, "folder": str(folder), "environment": environment}
        with ExitStack() as ends:
            pipes = [os.pipe() for _ in ("stdout", "stderr")]
            reading = [ends.enter_context(os.fdopen(reader, "rb", buffering=0)) for reader, _ in pipes]
            socket.send_fds(self._connection, [json.dumps(request).encode()], [writer for _, writer in pipes])
            for _, writer in pipes:
                os.close(writer)
            pid = int(self._connection.recv(32))
            stdout, stderr = self._read(reading, pid, command)
        return subprocess.CompletedProcess(command, int(self._connection.recv(32)), stdout, stderr)

    def close(self):
        self._connection.close()
        self._process.wait()

    @staticmethod
    def _read(reading, pid, command):
        """Read pipes until they are closed by whoever has them; end a command that takes too long."""
        deadline = time.monotonic() + RUN_LIMIT_S
        read = {file: [] for file in reading}
        with selectors.DefaultSelector() as selector:
            for file in reading:
                selector.register(file, selectors.EVENT_READ)
            while selector.get_map():
                ready = selector.select(deadline - time.monotonic())
                if not ready:
                    os.kill(pid, signal.SIGKILL)
                    raise subprocess.TimeoutExpired(command, RUN_LIMIT_S)
                for key, _ in ready:
                    if data := key.fileobj.read(1 << 16):
                        read[key.fileobj].append(data)
                    else:
                        selector.unregister(key.fileobj)
        return [b"".join(parts).decode() for parts in read.values()]


class Tool:
    """Runs the command line as a user would, in an empty folder."""

    def __init__(self, folder, forks):
        self.folder = folder
        self.environment = {**os.environ, "ASYNCBENCH_CACHE": str(folder / "cache"), "PYTHONPATH": str(ROOT)}
        self._forks = forks
        self._usual_environment = dict(self.environment)

    def write_config(self, name="sweep.json", **keys):
        path = self.folder / name
        path.write_text(json.dumps({"backend": "simulated", "stop": QUICK_STOP, "warmup": "none"} | keys))
        return path

    def install(self, name, **offered):
        """Have a distribution installed; see `write_distribution`."""
        folder = write_distribution(self.folder / "installed", name, **offered)
        if str(folder) not in self.environment["PYTHONPATH"]:
            self.environment["PYTHONPATH"] += f"{os.pathsep}{folder}"

    def command(self, *arguments):
        return [sys.executable, "-m", "asyncbench", *map(str, arguments)]

    def run(self, *arguments, check_code=0):
        """Run a command to its end; in a Python of its own where the environment is another than usual."""
        if self.environment == self._usual_environment:
            command = [str(ROOT / "asyncbench" / "__main__.py"), *map(str, arguments)]
            done = self._forks.run(command, folder=self.folder, environment=self.environment)
        else:
            done = subprocess.run(
                self.command(*arguments),
                cwd=self.folder,
                env=self.environment,
                capture_output=True,
                text=True,
                timeout=RUN_LIMIT_S,
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

    def wait_for_text(self, name, text, *, count=1, limit_s=60):
        """Return when a file holds `text` so many times."""
        path, deadline_s = self.folder / name, time.monotonic() + limit_s
        while not path.exists() or path.read_text().count(text) < count:
            if time.monotonic() > deadline_s:
                pytest.fail(f"{name} has not {count} times {text!r} within {limit_s} s")
            time.sleep(0.01)

    def records(self, name="out.jsonl"):
        return [json.loads(line) for line in (self.folder / name).read_text().splitlines()]

    def cells(self, name="out.jsonl"):
        return [record for record in self.records(name) if record["kind"] == "cell"]


@pytest.fixture(scope="session")
def make_tool():
    """Return what a fixture of a module makes a tool with, given a folder."""
    forks = Forks()
    yield lambda folder: Tool(folder, forks)
    forks.close()


@pytest.fixture
def tool(tmp_path, make_tool):
    return make_tool(tmp_path)


@pytest.fixture
def docs():
    return ROOT / "docs"
