"""Bare native loop: the baseline that the pump is measured against, called by ctypes.

The wheel has no part of it. `open_bare_loop` compiles cpp_ext/bare_loop from this checkout with one command of the C++
compiler (CXX, or else c++, g++ or clang++), which takes some seconds. It needs neither cmake nor a build tree, nor the
headers of CUDA, Python or nanobind: a GPU machine with a checkout and g++ is enough.
"""

from __future__ import annotations

import ctypes
import os
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

SOURCES = Path(__file__).resolve().parents[1] / "cpp_ext"
DRIVER_LIBRARY = "libcuda.so.1"
_ERROR_BYTES = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class BareLoopResult:
    """Inferences of all lanes, and the time from the first launch to the last completion."""

    inferences: int
    duration_ns: int


class _Lane(ctypes.Structure):
    """`CudaWork` of cuda_launcher.hpp."""

    _fields_ = (("stream", ctypes.c_void_p), ("graph_exec", ctypes.c_void_p))


class _Result(ctypes.Structure):
    """`BareLoopResult` of bare_loop.hpp."""

    _fields_ = (("inferences", ctypes.c_uint64), ("duration_ns", ctypes.c_int64))


class BareLoop:
    """The compiled library. Both calls block without the GIL, and raise RuntimeError with the driver's error.

    A lane is `(stream, graph_exec)`, the addresses of a CUstream and a CUgraphExec; nothing else may use the lanes
    meanwhile.
    """

    def __init__(self, library: Path, *, driver: str = DRIVER_LIBRARY) -> None:
        self.path = library
        self._library = ctypes.CDLL(str(library))
        self._driver = driver.encode()

    def run(
        self, cuda_context: int, lanes: Sequence[tuple[int, int]], duration_ns: int, *, completion: str = "spin"
    ) -> BareLoopResult:
        """Launch, wait and launch again on each lane, in a thread of its own, for `duration_ns`.

        Args:
            completion: `spin`, `yield` or `block`, as of the pump.
        """
        result = _Result()
        self._call(
            "asyncbench_bare_loop",
            ctypes.c_void_p(cuda_context),
            (_Lane * len(lanes))(*lanes),
            ctypes.c_size_t(len(lanes)),
            completion.encode(),
            ctypes.c_int64(duration_ns),
            ctypes.byref(result),
        )
        return BareLoopResult(inferences=result.inferences, duration_ns=result.duration_ns)

    def replay_ns(self, cuda_context: int, lane: tuple[int, int], count: int) -> int:
        """Launch the graph of one lane `count` times back to back, wait for the last, and return the time of all."""
        duration_ns = ctypes.c_int64()
        self._call(
            "asyncbench_bare_replay",
            ctypes.c_void_p(cuda_context),
            _Lane(*lane),
            ctypes.c_uint32(count),
            ctypes.byref(duration_ns),
        )
        return duration_ns.value

    def _call(self, function: str, *arguments: object) -> None:
        error = ctypes.create_string_buffer(_ERROR_BYTES)
        if self._library[function](self._driver, *arguments, error, ctypes.c_size_t(_ERROR_BYTES)):
            raise RuntimeError(error.value.decode())


@contextmanager
def open_bare_loop(*, driver: str = DRIVER_LIBRARY) -> Iterator[BareLoop]:
    """Compile the bare loop into a temporary folder and load it.

    Raises:
        RuntimeError: There is no C++20 compiler; the text is the compiler's.
    """
    with tempfile.TemporaryDirectory(prefix="asyncbench-bare-loop-") as folder:
        library = Path(folder) / "libbare_loop.so"
        _compile(library)
        yield BareLoop(library, driver=driver)


def _find_compiler() -> list[str]:
    named = shlex.split(os.environ.get("CXX", ""))
    for command in [named] if named else [["c++"], ["g++"], ["clang++"]]:
        if shutil.which(command[0]):
            return command
    wanted = named[0] if named else "c++"
    message = f"the bare loop needs a C++ compiler, and there is no {wanted}: install g++, or set CXX"
    raise RuntimeError(message)


def _compile(library: Path) -> None:
    compiler = _find_compiler()
    sources = [*(SOURCES / "bare_loop").glob("*.cpp"), SOURCES / "cuda_driver.cpp"]
    # -O3 as cmake's Release, which the pump is built with.
    options = ["-std=c++20", "-O3", "-DNDEBUG", "-shared", "-fPIC", "-fvisibility=hidden", "-pthread", f"-I{SOURCES}"]
    command = [*compiler, *options, *map(str, sources), "-ldl", "-o", str(library)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        message = f"{shlex.join(compiler)} did not compile the bare loop: {done.stderr}"
        raise RuntimeError(message)
