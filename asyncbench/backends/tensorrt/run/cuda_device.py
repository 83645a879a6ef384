"""One CUDA device through the driver API: memory, streams, graphs, each call checked. Nothing here knows TensorRT."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeAlias, TypeVar

import trio
from cuda.bindings import driver

from asyncbench.backends.tensorrt.bindings.device_account import DeviceAccount
from asyncbench.backends.tensorrt.bindings.gpu_facts import GpuFacts, read_driver_major
from asyncbench.errors import (
    AsyncbenchError,
    BackendUnavailableError,
    DeviceLostError,
    DoesNotFitError,
    LaneError,
)

# The bindings have no type stubs. Nothing of this type leaves the module but as an integer.
Foreign: TypeAlias = Any
T = TypeVar("T")
VISIBLE_DEVICES = "CUDA_VISIBLE_DEVICES"

# After these the context answers every call with the same error: the process must be replaced.
STICKY_ERRORS = frozenset(
    {
        "CUDA_ERROR_ILLEGAL_ADDRESS",
        "CUDA_ERROR_LAUNCH_FAILED",
        "CUDA_ERROR_LAUNCH_TIMEOUT",
        "CUDA_ERROR_ILLEGAL_INSTRUCTION",
        "CUDA_ERROR_MISALIGNED_ADDRESS",
        "CUDA_ERROR_INVALID_ADDRESS_SPACE",
        "CUDA_ERROR_INVALID_PC",
        "CUDA_ERROR_HARDWARE_STACK_ERROR",
        "CUDA_ERROR_ASSERT",
        "CUDA_ERROR_ECC_UNCORRECTABLE",
        "CUDA_ERROR_CONTEXT_IS_DESTROYED",
    }
)


def cuda_error(name: str, text: str, call: str, **facts: int | str) -> AsyncbenchError:
    """Return the error for a CUDA status: refused memory, a lost device, or a failed lane."""
    message = f"{call}: {name} ({text})"
    if name == "CUDA_ERROR_OUT_OF_MEMORY":
        return DoesNotFitError(message, remedy="lower --batch or --concurrency", cuda_error=name, **facts)
    if name in STICKY_ERRORS:
        return DeviceLostError(message, remedy="look for it in the kernel log (dmesg, Xid)", cuda_error=name, **facts)
    return LaneError(message, remedy="", cuda_error=name, **facts)


def _checked(call: str, answer: tuple[Foreign, ...], **facts: int | str) -> Foreign:
    status, *values = answer
    if int(status):
        name = driver.cuGetErrorName(status)[1] or b"CUDA_ERROR_UNKNOWN"
        text = driver.cuGetErrorString(status)[1] or b"no text"
        raise cuda_error(name.decode(), text.decode(), call, **facts)
    return values[0] if values else None


def _start_driver() -> None:
    """Start the driver in this process.

    Raises:
        BackendUnavailableError: There is none, or it sees no GPU.
    """
    try:
        _checked("cuInit", driver.cuInit(0))
    except RuntimeError as error:  # what cuda.bindings raises where libcuda.so.1 is missing
        raise BackendUnavailableError(
            f"there is no NVIDIA driver: {error}", remedy="run nvidia-smi, or use --backend onnxruntime"
        ) from error
    except AsyncbenchError as error:
        raise unavailable_gpu(error) from error


def unavailable_gpu(error: AsyncbenchError) -> BackendUnavailableError:
    """Return what to say where the driver does not start: no GPU is visible, above all."""
    if error.facts.get("cuda_error") != "CUDA_ERROR_NO_DEVICE":
        remedy = "run nvidia-smi, or use --backend onnxruntime"
        return BackendUnavailableError(
            f"the NVIDIA driver does not start: {error.message}", remedy=remedy, **error.facts
        )
    visible = os.environ.get(VISIBLE_DEVICES)
    why = "" if visible is None else f": {VISIBLE_DEVICES} is {visible!r}"
    way = "run the container with --gpus all" if visible is None else f"unset {VISIBLE_DEVICES}"
    return BackendUnavailableError(
        f"no NVIDIA GPU is visible{why}",
        remedy=f"run nvidia-smi -L, {way}, or use --backend onnxruntime",
        **error.facts,
    )


def no_such_device_text(ordinal: int, count: int) -> str:
    """Return that there are fewer devices, and which of them are visible."""
    there = "there is 1 device" if count == 1 else f"there are {count} devices"
    visible = os.environ.get(VISIBLE_DEVICES)
    return f"there is no cuda:{ordinal}: {there}" + ("" if visible is None else f" ({VISIBLE_DEVICES} is {visible!r})")


class CudaDevice:
    """A device's primary context. Calls may come from any thread that has called `activate`.

    The context is retained and never released: TensorRT works in the same one, through the runtime API, for the life
    of the process.

    Args:
        limit_bytes: The most device memory that `allocate` gives away; None for as much as there is.
    """

    def __init__(self, ordinal: int, *, limit_bytes: int | None = None) -> None:
        self.account = DeviceAccount(limit_bytes)
        _start_driver()
        count = int(_checked("cuDeviceGetCount", driver.cuDeviceGetCount()))
        if ordinal >= count:
            raise BackendUnavailableError(
                no_such_device_text(ordinal, count), remedy="run nvidia-smi -L for what there is"
            )
        self._device = _checked("cuDeviceGet", driver.cuDeviceGet(ordinal))
        self._cuda_context = _checked("cuDevicePrimaryCtxRetain", driver.cuDevicePrimaryCtxRetain(self._device))

    @property
    def cuda_context(self) -> int:
        """The CUcontext, for the native pump."""
        return int(self._cuda_context)

    def activate(self) -> None:
        """Make the context current on the calling thread."""
        _checked("cuCtxSetCurrent", driver.cuCtxSetCurrent(self._cuda_context))

    async def run(self, function: Callable[[], T]) -> T:
        """Call a blocking function on a worker thread on which this device is current. Not cancellable."""

        def call() -> T:
            self.activate()
            return function()

        return await trio.to_thread.run_sync(call)

    def facts(self) -> GpuFacts:
        """Return what engines are keyed by."""
        version = int(_checked("cuDriverGetVersion", driver.cuDriverGetVersion()))
        name = bytes(_checked("cuDeviceGetName", driver.cuDeviceGetName(128, self._device)))
        uuid = bytes(_checked("cuDeviceGetUuid", driver.cuDeviceGetUuid(self._device)).bytes).hex()
        dashed = "-".join((uuid[:8], uuid[8:12], uuid[12:16], uuid[16:20], uuid[20:]))
        return GpuFacts(
            name=name.split(b"\0")[0].decode(),
            compute_capability=(
                self._attribute("COMPUTE_CAPABILITY_MAJOR"),
                self._attribute("COMPUTE_CAPABILITY_MINOR"),
            ),
            driver_major=read_driver_major(),
            cuda_major=version // 1000,
            uuid=f"GPU-{dashed}",
        )

    @property
    def shares_host_memory(self) -> bool:
        """True where its memory is the host's, as on a Jetson."""
        return bool(self._attribute("INTEGRATED"))

    def memory_bytes(self) -> tuple[int, int]:
        """Return the device's free and total bytes, as all processes together leave them."""
        status, free, total = driver.cuMemGetInfo()
        _checked("cuMemGetInfo", (status,))
        return int(free), int(total)

    def allocate(self, size_bytes: int) -> int:
        """Return the address of device memory, aligned to 256 bytes or more.

        Raises:
            DoesNotFitError: There is not enough, or the limit is reached; the facts say what was asked and is left.
        """
        self.account.charge(size_bytes)
        answer = driver.cuMemAlloc(size_bytes)
        if int(answer[0]):
            self.account.cancel(size_bytes)
            free_bytes, _ = self.memory_bytes()
            _checked("cuMemAlloc", answer, requested_bytes=size_bytes, available_bytes=free_bytes)
        address = int(answer[1])
        self.account.commit(address, size_bytes)
        return address

    def free(self, address: int) -> None:
        """Free device memory; nothing may use it any more."""
        _checked("cuMemFree", driver.cuMemFree(address))
        self.account.release(address)

    def allocate_pinned(self, size_bytes: int) -> int:
        """Return the address of page-locked host memory.

        Raises:
            DoesNotFitError: The host has not enough. There is no fall-back to pageable memory.
        """
        return int(_checked("cuMemHostAlloc", driver.cuMemHostAlloc(size_bytes, 0), requested_bytes=size_bytes))

    def free_pinned(self, address: int) -> None:
        """Free page-locked host memory."""
        _checked("cuMemFreeHost", driver.cuMemFreeHost(address))

    def create_stream(self) -> int:
        """Return a stream that does not wait for the legacy stream."""
        flags = int(driver.CUstream_flags.CU_STREAM_NON_BLOCKING)
        return int(_checked("cuStreamCreate", driver.cuStreamCreate(flags)))

    def destroy_stream(self, stream: int) -> None:
        """Destroy a stream."""
        _checked("cuStreamDestroy", driver.cuStreamDestroy(driver.CUstream(stream)))

    def synchronize(self, stream: int) -> None:
        """Block until a stream is idle."""
        _checked("cuStreamSynchronize", driver.cuStreamSynchronize(driver.CUstream(stream)))

    def copy_to_device(self, address: int, host_address: int, size_bytes: int, stream: int) -> None:
        """Queue a copy from host memory."""
        answer = driver.cuMemcpyHtoDAsync(address, host_address, size_bytes, driver.CUstream(stream))
        _checked("cuMemcpyHtoDAsync", answer)

    def copy_to_host(self, host_address: int, address: int, size_bytes: int, stream: int) -> None:
        """Queue a copy to host memory."""
        answer = driver.cuMemcpyDtoHAsync(host_address, address, size_bytes, driver.CUstream(stream))
        _checked("cuMemcpyDtoHAsync", answer)

    def fill(self, address: int, value: int, size_bytes: int, stream: int) -> None:
        """Queue a fill of device memory with one byte value."""
        answer = driver.cuMemsetD8Async(address, value, size_bytes, driver.CUstream(stream))
        _checked("cuMemsetD8Async", answer)

    def capture(self, stream: int, enqueue: Callable[[], None]) -> CudaGraph:
        """Return what `enqueue` puts into the stream as a graph; nothing of it runs.

        The capture is local to the calling thread: other threads may allocate meanwhile.

        Raises:
            LaneError: It cannot be captured. The stream can be used again.
        """
        handle = driver.CUstream(stream)
        mode = driver.CUstreamCaptureMode.CU_STREAM_CAPTURE_MODE_THREAD_LOCAL
        _checked("cuStreamBeginCapture", driver.cuStreamBeginCapture(handle, mode))
        with _ended_capture(handle) as ended:
            enqueue()
        return CudaGraph(_checked("cuStreamEndCapture", ended[0]))

    def _attribute(self, name: str) -> int:
        attribute = getattr(driver.CUdevice_attribute, f"CU_DEVICE_ATTRIBUTE_{name}")
        return int(_checked("cuDeviceGetAttribute", driver.cuDeviceGetAttribute(attribute, self._device)))


@contextmanager
def _ended_capture(handle: Foreign) -> Iterator[list[tuple[Foreign, ...]]]:
    """End a capture whatever happens in it: a stream that is left capturing can do nothing else."""
    ended: list[tuple[Foreign, ...]] = []
    try:
        yield ended
    finally:
        ended.append(driver.cuStreamEndCapture(handle))


class CudaGraph:
    """A captured graph, instantiated. Destroy it once nothing of it is in flight."""

    def __init__(self, graph: Foreign) -> None:
        self._graph = graph
        self._exec = _checked("cuGraphInstantiate", driver.cuGraphInstantiate(graph, 0))

    @property
    def exec_address(self) -> int:
        """The CUgraphExec, for the native pump."""
        return int(self._exec)

    def destroy(self) -> None:
        """Free both forms of the graph."""
        _checked("cuGraphExecDestroy", driver.cuGraphExecDestroy(self._exec))
        _checked("cuGraphDestroy", driver.cuGraphDestroy(self._graph))
