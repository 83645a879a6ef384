"""`asyncbench doctor`: what this machine can run, and why not more."""

from __future__ import annotations

import ctypes
import importlib
import subprocess
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

from asyncbench.child_program import child_command, child_environment, last_stderr_line
from asyncbench.cli.show.terminal import people_console
from asyncbench.conditions.host import cpu_name, cpus_text, host_facts
from asyncbench.errors import BadInputError, ExitCode
from asyncbench.places import cache_folder
from asyncbench.sweep.backends.registry import added_names, need_backend
from asyncbench.units import format_size

TENSORRT_QUESTION = child_command("asyncbench.cli.ask_tensorrt")


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        works: None where it is a fact and not a question.
        remedy: What to do where it does not work.
    """

    what: str
    works: bool | None
    found: str
    remedy: str = ""

    def lines(self) -> list[str]:
        """Return the finding for people, the remedy on a line of its own."""
        mark = {True: "yes", False: "no", None: ""}[self.works]
        remedy = [f"{'':<27}-> {self.remedy}"] if self.remedy and not self.works else []
        return [f"{mark:<4} {self.what + ':':<21} {self.found}", *remedy]


def doctor() -> int:
    """Say what this machine can run, and what is missing for more."""
    console = people_console(stderr=False)
    for finding in _findings():
        for line in finding.lines():
            console.print(line, highlight=False, markup=False, soft_wrap=True)
    return ExitCode.OK


def _findings() -> Iterator[Finding]:
    yield from (check() for check in CHECKS)
    yield from _tensorrt()
    yield from added_backend_findings()


def _host() -> Finding:
    memory = host_facts()["memory_bytes"]
    size = format_size(memory) if isinstance(memory, int) else "?"
    return Finding(what="host", works=None, found=f"{cpu_name()}, {cpus_text()}, {size}")


def _cache() -> Finding:
    try:
        return Finding(what="cache", works=None, found=str(cache_folder()))
    except BadInputError as error:
        return Finding(what="cache", works=False, found=error.message, remedy=error.remedy)


def _onnxruntime() -> Finding:
    return _package("onnxruntime backend", "onnxruntime", remedy="reinstall asyncbench: it is a core dependency")


def _onnxruntime_precisions() -> Finding:
    return Finding(what="precisions there", works=None, found="that of the model file; int8 with --calibration")


def _simulated() -> Finding:
    return Finding(what="simulated backend", works=True, found="part of asyncbench")


def _package(what: str, name: str, *, remedy: str) -> Finding:
    try:
        return Finding(what=what, works=True, found=f"{name} {version(name)}")
    except PackageNotFoundError:
        return Finding(what=what, works=False, found=f"{name} is not installed", remedy=remedy)


def _driver() -> Finding:
    try:
        ctypes.CDLL("libcuda.so.1")
    except OSError:
        return Finding(
            what="NVIDIA driver",
            works=False,
            found="libcuda.so.1 was not found",
            remedy="install NVIDIA's driver, or run the container with --gpus all",
        )
    return Finding(what="NVIDIA driver", works=True, found="libcuda.so.1")


def _tensorrt() -> Sequence[Finding]:
    """Look in a process of its own: importing TensorRT takes seconds and memory, and may fail in ways of its own."""
    try:
        done = subprocess.run(  # noqa: S603 # our own program
            TENSORRT_QUESTION, capture_output=True, text=True, timeout=60, check=False, env=child_environment()
        )
    except subprocess.TimeoutExpired:
        return [Finding(what="tensorrt backend", works=False, found="no answer within 60 s", remedy="run nvidia-smi")]
    return tensorrt_findings(done.stdout, done.stderr, works=done.returncode == 0)


def tensorrt_findings(stdout: str, stderr: str, *, works: bool) -> Sequence[Finding]:
    """Return what `ask_tensorrt` printed: what there is and its precisions, or why there is nothing."""
    if not works:
        answer = stdout.strip() or last_stderr_line(stderr.splitlines())
        return [Finding(what="tensorrt backend", works=False, found=answer)]
    # The last lines are ours: libraries print what they like before.
    found, precisions = stdout.splitlines()[-2:]
    return [
        Finding(what="tensorrt backend", works=True, found=found),
        Finding(what="precisions there", works=None, found=precisions),
    ]


def added_backend_findings() -> Iterator[Finding]:
    """Yield whether each backend that an installed package adds can be described. What it needs, only it knows."""
    for name in added_names():
        what = f"{name} backend"
        try:
            need_backend(name)
            yield Finding(what=what, works=True, found="added by an installed package")
        except BadInputError as error:
            yield Finding(what=what, works=False, found=error.message, remedy=error.remedy)


def _native_pump() -> Finding:
    try:
        importlib.import_module("asyncbench._pump")
    except ImportError as error:
        remedy = "run scripts/setup, or reinstall with a C++20 compiler present"
        return Finding(what="native pump", works=False, found=str(error), remedy=remedy)
    return Finding(what="native pump", works=True, found="built")


CHECKS: tuple[Callable[[], Finding], ...] = (
    _host,
    _cache,
    _onnxruntime,
    _onnxruntime_precisions,
    _simulated,
    _native_pump,
    _driver,
)
