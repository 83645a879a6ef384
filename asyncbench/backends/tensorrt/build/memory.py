"""Build within the memory that there is: which workspace to try, and to try again with less."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace

from asyncbench.backends.tensorrt.build.builder import BuildResult
from asyncbench.backends.tensorrt.build.messages import BuildRequest
from asyncbench.backends.tensorrt.cache.sidecar import BuildFacts, BuildTry
from asyncbench.clock import now_ns
from asyncbench.errors import AsyncbenchError, DoesNotFitError, EngineBuildError
from asyncbench.event_log import get_logger
from asyncbench.units import format_size

_MIB = 1 << 20
# What a builder takes beside all that can be counted: its CUDA context and the modules of its libraries. A guess.
RESERVE_BYTES = 512 * _MIB
# Convolutions of the networks that we know all have a kernel that does with so little.
FLOOR_BYTES = 16 * _MIB
# A build takes a minute or more, and the last try is always the floor.
MAX_TRIES = 6
# What is halved where TensorRT was left to its own default, and that is not known.
_ASSUMED_BYTES = 1024 * _MIB

_log = get_logger()


def derive_workspace(free_bytes: int | None, budget_bytes: int | None) -> int | None:
    """Return the workspace of the first try, or None where nothing is known of a device.

    TensorRT's own default is the whole device, whatever others have of it. Half of what is free, because the builder
    also holds the weights (as they were and as a kernel wants them) and the tensors of the kernel that it is timing.

    Args:
        free_bytes: On the device.
        budget_bytes: The most that TensorRT may hold.
    """
    bounds = [] if free_bytes is None else [free_bytes - RESERVE_BYTES]
    bounds += [] if budget_bytes is None else [budget_bytes]
    if not bounds:
        return None
    return max(FLOOR_BYTES, min(bounds) // 2 // _MIB * _MIB)


def workspaces_to_try(first_bytes: int | None) -> tuple[int | None, ...]:
    """Return the limit of each try: each half of the one before, and the floor as the last of at most MAX_TRIES."""
    known_bytes = _ASSUMED_BYTES if first_bytes is None else first_bytes
    if known_bytes <= FLOOR_BYTES:
        return (first_bytes,)
    halves = [known_bytes >> count for count in range(1, MAX_TRIES - 1)]
    return (first_bytes, *(half for half in halves if half > FLOOR_BYTES), FLOOR_BYTES)


def may_fit_with_less(error: AsyncbenchError) -> bool:
    """Return whether another try may help: the build ran out of memory, or somebody killed it and does not say why."""
    return isinstance(error, DoesNotFitError) or error.facts.get("signal") == "SIGKILL"


async def build_within_memory(
    request: BuildRequest,
    workspaces: Sequence[int | None],
    *,
    label: str,
    build: Callable[[BuildRequest], Awaitable[BuildResult]],
    report: Callable[[str], None],
) -> BuildFacts:
    """Build with the first workspace that works. Cancelling ends the try that runs, and there is no other.

    Args:
        workspaces: See `workspaces_to_try`.
        label: What people call the engine.
        report: Takes one line for people for each further try.

    Raises:
        DoesNotFitError: All tries ran out of memory; the message has the last one's reason.
        EngineBuildError: The last try was killed, or failed for another reason.
    """
    tries = _Tries(label=label)
    for index, workspace_bytes in enumerate(workspaces):
        tries.begin(workspace_bytes)
        try:
            result = await build(replace(request, workspace_bytes=workspace_bytes))
        except (DoesNotFitError, EngineBuildError) as error:
            tries.end(error.message)
            left = workspaces[index + 1 :] if may_fit_with_less(error) else ()
            if not left:
                raise tries.explain(error) from error
            report(f"{label}: {error.message}; {_next_try(request, workspace_bytes, left[0])}")
        else:
            tries.end("built")
            return tries.facts(result)
    raise ValueError("there is no workspace to try")


@dataclass(slots=True, kw_only=True)
class _Tries:
    """The tries of one engine so far; each is an event in the log."""

    label: str
    done: list[BuildTry] = field(default_factory=list)
    _workspace_bytes: int | None = None
    _started_at_ns: int = 0

    def begin(self, workspace_bytes: int | None) -> None:
        self._workspace_bytes, self._started_at_ns = workspace_bytes, now_ns()

    def end(self, outcome: str) -> None:
        took_ns = now_ns() - self._started_at_ns
        self.done.append(BuildTry(workspace_bytes=self._workspace_bytes, outcome=outcome, took_ns=took_ns))
        _log.info(
            "build_try", label=self.label, workspace_bytes=self._workspace_bytes, outcome=outcome, took_ns=took_ns
        )

    def facts(self, result: BuildResult) -> BuildFacts:
        return BuildFacts(
            build_ns=result.build_ns,
            warnings=result.warnings,
            workspace_bytes=self._workspace_bytes,
            peak_device_bytes=result.peak_device_bytes,
            tries=tuple(self.done),
        )

    def explain(self, error: AsyncbenchError) -> AsyncbenchError:
        """Return the last error with the tries before it; the error itself if there were none."""
        if len(self.done) == 1:
            return error
        sizes = ", ".join(_name(one.workspace_bytes) for one in self.done)
        message = f"{error.message} (try {len(self.done)}, with workspaces of {sizes})"
        return type(error)(message, remedy=error.remedy, **error.facts, build_tries=len(self.done))


def _next_try(request: BuildRequest, failed_bytes: int | None, next_bytes: int | None) -> str:
    asked_bytes = request.settings.workspace_bytes
    below = f", below the --workspace of {format_size(asked_bytes)}" if asked_bytes is not None else ""
    return f"trying a workspace of {_name(next_bytes)} after {_name(failed_bytes)}{below}"


def _name(workspace_bytes: int | None) -> str:
    return "TensorRT's own size" if workspace_bytes is None else format_size(workspace_bytes)
