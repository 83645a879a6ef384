"""The process that builds one engine: `python -m asyncbench.backends.tensorrt.build.child`.

A process of its own, because a builder takes gigabytes that it never gives back, may crash, and is the one that the
kernel shall kill when memory ends. One request comes on stdin; events leave on stdout, one JSON object a line, the last
of them `done` or `failed`; everything else that anybody prints goes to stderr.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Protocol, TextIO

from asyncbench.backends.tensorrt.bindings.allocator import CountingAllocator
from asyncbench.backends.tensorrt.bindings.find_bindings import find_bindings, system_folders
from asyncbench.backends.tensorrt.bindings.protocols import IBuilderConfig
from asyncbench.backends.tensorrt.bindings.versions import Bindings
from asyncbench.backends.tensorrt.build.log import BuildLog
from asyncbench.backends.tensorrt.build.messages import (
    REQUESTS,
    BuildEvent,
    BuildRequest,
    DoneEvent,
    FailedEvent,
    FailureKind,
)
from asyncbench.backends.tensorrt.build.network import fix_batches, parse_model
from asyncbench.backends.tensorrt.build.progress import EventWriter, ProgressReporter
from asyncbench.clock import now_ns
from asyncbench.errors import AsyncbenchError, BackendUnavailableError, BadInputError, DoesNotFitError
from asyncbench.files.durable_file import write_durably

_KINDS = {
    BadInputError: FailureKind.BAD_INPUT,
    BackendUnavailableError: FailureKind.UNAVAILABLE,
    DoesNotFitError: FailureKind.OUT_OF_MEMORY,
}


def build(request: BuildRequest, events: EventWriter) -> DoneEvent:
    """Build the engine and write it.

    Raises:
        BadInputError: The model or a setting cannot be used.
        BackendUnavailableError: This TensorRT cannot build here.
        DoesNotFitError: The builder ran out of memory.
        EngineBuildError: The builder failed otherwise.
    """
    started_at_ns = now_ns()
    bindings = find_bindings([request.module_name], folders=system_folders(), needs_builder=True)
    log = BuildLog()
    logger = bindings.create_logger(log.take)
    builder = bindings.create_builder(logger)
    device_memory = _count_device_memory(request.device_budget_bytes)
    builder.gpu_allocator = bindings.create_gpu_allocator(allocate=device_memory.allocate, free=device_memory.free)
    network = bindings.create_network(builder)
    config = builder.create_builder_config()
    parser = parse_model(
        bindings,
        network,
        logger,
        Path(request.model_path),
        precision=request.precision,
        has_calibration_cache=request.calibration_cache_path is not None,
    )
    fix_batches(builder, network, config, request.shape)
    kept_alive = _configure(bindings, config, request, events)
    plan = builder.build_serialized_network(network, config)
    del parser, kept_alive
    if plan is None:
        raise log.failure(request, device_memory.take_refusal())
    bindings.write_plan(plan, Path(request.engine_path))
    add_to_timing_cache(_path(request.timing_cache_path), lambda known: bindings.merged_timing_cache(config, known))
    return DoneEvent(
        build_ns=now_ns() - started_at_ns, warnings=log.warnings(), peak_device_bytes=device_memory.peak_bytes
    )


class DeviceMemory(Protocol):
    """Part of CudaDevice that is used here, whose module needs cuda.bindings: to build without a GPU, RTX does not."""

    def activate(self) -> None:
        """See CudaDevice.activate."""

    def allocate(self, size_bytes: int) -> int:
        """See CudaDevice.allocate."""

    def free(self, address: int) -> None:
        """See CudaDevice.free."""


def _open_device() -> DeviceMemory:
    from asyncbench.backends.tensorrt.run.cuda_device import CudaDevice  # noqa: PLC0415 - see DeviceMemory

    return CudaDevice(0)


def _count_device_memory(limit_bytes: int | None) -> CountingAllocator:
    # Not opened before TensorRT asks for memory: a CUDA context alone takes hundreds of megabytes.
    device = cache(_open_device)

    def allocate(size_bytes: int) -> int:
        device().activate()  # TensorRT asks from threads of its own
        return device().allocate(size_bytes)

    def free(address: int) -> None:
        device().activate()
        device().free(address)

    return CountingAllocator(allocate, free, limit_bytes=limit_bytes)


def _configure(bindings: Bindings, config: IBuilderConfig, request: BuildRequest, events: EventWriter) -> object:
    settings = request.settings
    bindings.enable_precision(config, request.precision)
    bindings.prepare_for_lanes(config)
    if request.workspace_bytes is not None:
        bindings.limit_workspace(config, request.workspace_bytes)
    if settings.tactic_sources is not None:
        bindings.limit_tactic_sources(config, settings.tactic_sources)
    if settings.max_aux_streams is not None:
        config.max_aux_streams = settings.max_aux_streams
    if request.compute_capability is not None:
        bindings.target_compute_capability(config, request.compute_capability)
    bindings.load_timing_cache(config, read_timing_cache(_path(request.timing_cache_path)))
    progress = ProgressReporter(events)
    bindings.watch_progress(config, on_start=progress.start, on_step=progress.step, on_finish=progress.finish)
    if request.calibration_cache_path is None:
        return None
    return bindings.use_calibration_cache(config, Path(request.calibration_cache_path).read_bytes())


def read_timing_cache(path: Path | None) -> bytes:
    """Return the serialized timings, or nothing where there are none yet."""
    if path is None or not path.exists():
        return b""
    return path.read_bytes()


def add_to_timing_cache(path: Path | None, merge: Callable[[bytes], bytes]) -> None:
    """Replace the file by what `merge` makes of its present contents.

    Two builds that do this in the same instant lose the timings of one, never the file; builds take turns anyway.

    Raises:
        OutputError: The folder cannot be written.
    """
    if path is None:
        return
    merged = merge(read_timing_cache(path))
    if merged:
        write_durably(path, merged)


def _path(text: str | None) -> Path | None:
    return None if text is None else Path(text)


def _failed(error: AsyncbenchError) -> FailedEvent:
    kind = _KINDS.get(type(error), FailureKind.BUILDER)
    return FailedEvent(kind=kind, message=error.message, remedy=error.remedy)


def _take_over_stdout() -> TextIO:
    """Keep stdout for events; native libraries that print there reach stderr instead."""
    stream = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    return stream


def _die_with_parent() -> None:
    """Have the kernel end this process when the parent's end of stdin is closed, however the parent dies.

    PR_SET_PDEATHSIG would not do: it looks at the thread that started us, and Trio starts processes in threads that it
    ends when they are idle. A thread of ours that reads stdin would need the GIL, which a builder may keep for minutes.
    """
    stdin = sys.stdin.fileno()
    fcntl.fcntl(stdin, fcntl.F_SETOWN, os.getpid())
    flags = fcntl.fcntl(stdin, fcntl.F_GETFL)
    fcntl.fcntl(stdin, fcntl.F_SETFL, flags | os.O_ASYNC)  # SIGIO, which nobody handles, when the pipe is closed


def _be_killed_first() -> None:
    """Ask the kernel to take this process when memory ends: a build can be repeated, a sweep cannot."""
    with contextlib.suppress(OSError):  # some containers do not allow it; the build works all the same
        Path("/proc/self/oom_score_adj").write_text("1000", encoding="ascii")


def main() -> int:
    """Serve one request."""
    _be_killed_first()
    events = EventWriter(_take_over_stdout())
    request = REQUESTS.validate_json(sys.stdin.buffer.readline())
    _die_with_parent()
    try:
        last: BuildEvent = build(request, events)
    except AsyncbenchError as error:
        last = _failed(error)
    except MemoryError as error:  # also what the bindings make of std::bad_alloc
        remedy = "free host memory, or lower the largest --batch"
        last = _failed(DoesNotFitError(f"the builder ran out of host memory: {error!r}", remedy=remedy))
    events.write(last)
    return 0


if __name__ == "__main__":
    sys.exit(main())
