"""Build an engine in a child process that reports its progress."""

from __future__ import annotations

import contextlib
import subprocess
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial

import trio

from asyncbench.backends.tensorrt.build.log import tells_out_of_memory
from asyncbench.backends.tensorrt.build.messages import (
    EVENTS,
    REQUESTS,
    BuildEvent,
    BuildRequest,
    DoneEvent,
    FailedEvent,
    FailureKind,
    PhaseEvent,
)
from asyncbench.child_program import child_command, child_environment, last_stderr_line
from asyncbench.clock import now_ns
from asyncbench.errors import (
    AsyncbenchError,
    BackendUnavailableError,
    BadInputError,
    DoesNotFitError,
    EngineBuildError,
)
from asyncbench.memory.host.oom import Death, DeathKind, classify_death
from asyncbench.memory.host.probe import HostMemory
from asyncbench.units import format_duration

_COMMAND = child_command("asyncbench.backends.tensorrt.build.child")
_TICK_S = 1.0
_STDERR_TAIL_BYTES = 4096
_ERRORS: Mapping[FailureKind, type[AsyncbenchError]] = {
    FailureKind.BAD_INPUT: BadInputError,
    FailureKind.UNAVAILABLE: BackendUnavailableError,
    FailureKind.OUT_OF_MEMORY: DoesNotFitError,
    FailureKind.BUILDER: EngineBuildError,
}


_MEMORY_REMEDY = "build on a machine with more free host memory and copy its engine cache, or lower the largest --batch"
_SIGNAL_REMEDIES = {
    "SIGKILL": "if it was not you, look into the kernel's log (dmesg)",
    "SIGSEGV": "TensorRT crashed on this model; try another --precision, or choose --backend onnxruntime",
    "SIGABRT": "TensorRT gave up on this model; try another --precision, or choose --backend onnxruntime",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildProgress:
    """Progress of a build.

    Attributes:
        phase: TensorRT's name for what it does; empty where it has no progress monitor.
        done_ratio: From 0 to 1, by TensorRT's steps, never falling; None where it has no progress monitor.
    """

    phase: str
    done_ratio: float | None
    elapsed_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildResult:
    """A finished build; the engine is in the file of the request.

    Attributes:
        warnings: What TensorRT warned of, the first few lines.
        peak_device_bytes: The most that TensorRT held through its allocator.
    """

    build_ns: int
    warnings: tuple[str, ...]
    peak_device_bytes: int


async def build_engine(
    request: BuildRequest,
    on_progress: Callable[[BuildProgress], None],
    *,
    environment: Mapping[str, str] | None = None,
) -> BuildResult:
    """Build one engine into `request.engine_path`, which the caller owns, also when this raises.

    Cancelling kills the child and waits until it is gone. If this process dies, so does the child.

    Args:
        on_progress: Called when something has changed, and every second.
        environment: Set in the child beside what is set here, such as `CUDA_VISIBLE_DEVICES`.

    Raises:
        BadInputError: The model or a setting cannot be used.
        BackendUnavailableError: This TensorRT cannot build here.
        DoesNotFitError: TensorRT ran out of memory, or the kernel's out-of-memory killer ended the builder.
        EngineBuildError: The builder failed, or somebody else killed it; facts has the `signal`.
    """
    with contextlib.closing(HostMemory()) as host_memory:
        before = host_memory.read_oom()
        watch, returncode = await _watch_child(request, on_progress, environment)
        death = classify_death(returncode, before=before, after=host_memory.read_oom())
    return watch.result(death, request)


async def _watch_child(
    request: BuildRequest, on_progress: Callable[[BuildProgress], None], environment: Mapping[str, str] | None
) -> tuple[_Watch, int]:
    watch = _Watch(on_progress)
    async with trio.open_nursery() as nursery:
        process: trio.Process = await nursery.start(_starter(environment))
        nursery.start_soon(watch.tick)
        nursery.start_soon(watch.read_errors, process)
        await _send(process, request)
        await watch.read_events(process)
        returncode = await process.wait()
        nursery.cancel_scope.cancel()
    return watch, returncode


class _Watch:
    """Events of the child that the parent has seen so far."""

    def __init__(self, on_progress: Callable[[BuildProgress], None]) -> None:
        self._on_progress = on_progress
        self._started_at_ns = now_ns()
        self._phase = ""
        self._done_ratio: float | None = None
        self._last: DoneEvent | FailedEvent | None = None
        self._stderr_tail = b""

    async def tick(self) -> None:
        """Report every second that time passes, for versions that report nothing themselves."""
        while True:
            self._report()
            await trio.sleep(_TICK_S)

    async def read_errors(self, process: trio.Process) -> None:
        """Keep the end of what the child prints, which is all that a crash leaves behind."""
        assert process.stderr is not None  # noqa: S101 - asked for in _starter
        async for chunk in process.stderr:
            self._stderr_tail = (self._stderr_tail + chunk)[-_STDERR_TAIL_BYTES:]

    async def read_events(self, process: trio.Process) -> None:
        """Take events until the child closes its stdout."""
        assert process.stdout is not None  # noqa: S101 - asked for in _starter
        rest = b""
        async for chunk in process.stdout:
            *lines, rest = (rest + chunk).split(b"\n")
            for line in lines:
                self._take(EVENTS.validate_json(line))

    def result(self, death: Death, request: BuildRequest) -> BuildResult:
        """Return what the child built, or raise why it did not."""
        last = self._last
        if isinstance(last, DoneEvent):
            return BuildResult(build_ns=last.build_ns, warnings=last.warnings, peak_device_bytes=last.peak_device_bytes)
        if isinstance(last, FailedEvent):
            raise _ERRORS[last.kind](last.message, remedy=last.remedy)
        raise self._error(death, request)

    def _take(self, event: BuildEvent) -> None:
        if isinstance(event, PhaseEvent):
            self._phase, self._done_ratio = event.phase, event.done_ratio
            self._report()
        else:
            self._last = event

    def _report(self) -> None:
        elapsed_ns = now_ns() - self._started_at_ns
        self._on_progress(BuildProgress(phase=self._phase, done_ratio=self._done_ratio, elapsed_ns=elapsed_ns))

    def _error(self, death: Death, request: BuildRequest) -> AsyncbenchError:
        what = f"the builder of {request.precision} for {request.shape}"
        after = format_duration(now_ns() - self._started_at_ns)
        said = self._stderr_tail.decode(errors="replace").strip().splitlines()
        words = last_stderr_line(said)
        message = f"{what} died after {after}: {death.sentence}{f': {words}' if words else ''}"
        # What C++ throws where nobody catches it ends in SIGABRT, and says why.
        if death.kind is DeathKind.OOM_KILLED or any(map(tells_out_of_memory, said)):
            return DoesNotFitError(message, remedy=_MEMORY_REMEDY, **death.facts)
        remedy = _SIGNAL_REMEDIES.get(str(death.facts.get("signal")), "see its messages with -v")
        return EngineBuildError(message, remedy=remedy, **death.facts)


def _starter(environment: Mapping[str, str] | None) -> Callable[..., Awaitable[object]]:
    return partial(
        trio.run_process,
        _COMMAND,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        check=False,
        deliver_cancel=_kill,
        env=child_environment(**(environment or {})),
    )


async def _kill(process: trio.Process) -> None:
    # Nothing that it could tidy up is its own, and a builder in native code does not hear SIGTERM for seconds.
    process.kill()
    await process.wait()


async def _send(process: trio.Process, request: BuildRequest) -> None:
    assert process.stdin is not None  # noqa: S101 - asked for in _starter
    # If it died before it read, its exit status says more than the broken pipe. Not closed: see _die_with_parent.
    with contextlib.suppress(trio.BrokenResourceError):
        await process.stdin.send_all(REQUESTS.dump_json(request) + b"\n")
