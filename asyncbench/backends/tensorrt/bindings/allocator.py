"""Device memory that TensorRT takes: counted to the byte, and refused above a limit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock

from asyncbench.errors import AsyncbenchError, DoesNotFitError, LaneError
from asyncbench.units import format_size


@dataclass(frozen=True, slots=True)
class _Block:
    base: int
    size_bytes: int


class CountingAllocator:
    """Allocator that `Bindings.create_gpu_allocator` forwards to; one may serve several runtimes. Thread-safe.

    TensorRT only understands an address or null: an exception never leaves `allocate` and `free`, and `take_refusal`
    has the reason for whoever meets the null.

    Args:
        allocate: Returns the address of so many bytes, or 0; may raise, best a DoesNotFitError. Any thread calls it.
        free: Frees what `allocate` returned.
        limit_bytes: The most to hold; None for no limit of its own.
    """

    def __init__(
        self, allocate: Callable[[int], int], free: Callable[[int], None], *, limit_bytes: int | None = None
    ) -> None:
        self._take_from_device = allocate
        self._give_to_device = free
        self._limit_bytes = limit_bytes
        self._lock = Lock()
        self._blocks: dict[int, _Block] = {}
        # What is being asked of the device is charged already, so that two threads cannot pass the limit together.
        self._charged_bytes = 0
        self._held_bytes = 0
        self._peak_bytes = 0
        self._refusal: AsyncbenchError | None = None

    @property
    def held_bytes(self) -> int:
        """Bytes that TensorRT has now, padding for alignment included."""
        return self._held_bytes

    @property
    def peak_bytes(self) -> int:
        """The most that it ever had."""
        return self._peak_bytes

    def set_limit(self, limit_bytes: int | None) -> None:
        """Change the limit; what is above it already stays until TensorRT frees it."""
        with self._lock:
            self._limit_bytes = limit_bytes

    def take_refusal(self) -> AsyncbenchError | None:
        """Return why memory was last refused, or not freed, since this was last asked; facts has the bytes."""
        with self._lock:
            refusal, self._refusal = self._refusal, None
        return refusal

    def allocate(self, size_bytes: int, alignment: int) -> int:
        """Return an address that `alignment` (0 for any) divides, or 0. Never raises."""
        if not size_bytes:
            return 0
        try:
            block = self._take(size_bytes)
            if alignment and block.base % alignment:
                self._give_back(block)
                block = self._take(size_bytes + alignment - 1)
        except Exception as error:  # noqa: BLE001 - C++ calls this: whatever it is, it is kept, and the answer is null
            self._keep(error)
            return 0
        address = -(-block.base // alignment) * alignment if alignment else block.base
        with self._lock:
            self._blocks[address] = block
        return address

    def free(self, address: int) -> bool:
        """Free what `allocate` returned, or say False: what could not be freed stays counted. Never raises."""
        if not address:
            return True
        with self._lock:
            block = self._blocks.pop(address, None)
        if block is None:
            self._keep(LaneError(f"TensorRT freed {address:#x}, which it was never given"))
            return False
        try:
            self._give_back(block)
        except Exception as error:  # noqa: BLE001 - see allocate
            self._keep(error)
            return False
        return True

    def _take(self, size_bytes: int) -> _Block:
        self._charge(size_bytes)
        base = 0
        try:
            base = self._take_from_device(size_bytes)
        finally:
            with self._lock:
                if base:
                    self._held_bytes += size_bytes
                    self._peak_bytes = max(self._peak_bytes, self._held_bytes)
                else:
                    self._charged_bytes -= size_bytes
        if not base:
            raise DoesNotFitError(
                f"TensorRT asked for {format_size(size_bytes)} of device memory, and the device did not give it",
                remedy="lower --batch or --concurrency",
                requested_bytes=size_bytes,
            )
        return _Block(base, size_bytes)

    def _charge(self, size_bytes: int) -> None:
        with self._lock:
            limit_bytes, held_bytes = self._limit_bytes, self._charged_bytes
            if limit_bytes is None or held_bytes + size_bytes <= limit_bytes:
                self._charged_bytes += size_bytes
                return
        available_bytes = max(0, limit_bytes - held_bytes)
        raise DoesNotFitError(
            f"TensorRT asked for {format_size(size_bytes)} of device memory, "
            f"{format_size(available_bytes)} of its {format_size(limit_bytes)} are left",
            remedy="raise --memory-budget, or lower --batch or --concurrency",
            requested_bytes=size_bytes,
            available_bytes=available_bytes,
            limit_bytes=limit_bytes,
        )

    def _give_back(self, block: _Block) -> None:
        self._give_to_device(block.base)
        with self._lock:
            self._held_bytes -= block.size_bytes
            self._charged_bytes -= block.size_bytes

    def _keep(self, error: Exception) -> None:
        known = error if isinstance(error, AsyncbenchError) else LaneError(f"TensorRT's device memory: {error!r}")
        with self._lock:
            self._refusal = known
