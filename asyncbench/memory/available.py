"""Memory of the device and of the host that may be taken, and the one that is short."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from asyncbench.memory.forecast import MemoryForecast
from asyncbench.text_enum import TextEnum


class LimitedBy(TextEnum):
    """The memory that is short."""

    DEVICE = "device"
    HOST = "host"
    POOL = "pool"


@dataclass(frozen=True, slots=True, kw_only=True)
class Shortage:
    """A memory of which less is available than requested."""

    limited_by: LimitedBy
    requested_bytes: int
    available_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Available:
    """Bytes that may be taken, after budgets, limits and reserves; None where no limit is known.

    Attributes:
        shared_pool: Both are the same memory, as on a Jetson: the sum of a need counts, against the smaller of the two.
        remedies: What the user can do for more of each memory: of the options, those that hold some of it back.
    """

    device_bytes: int | None
    host_bytes: int | None
    shared_pool: bool = False
    remedies: Mapping[LimitedBy, tuple[str, ...]] = field(default_factory=dict)

    def shortage(self, need: MemoryForecast) -> Shortage | None:
        """Return what `need` is too large for, the device first; None where it fits."""
        for limited_by, requested_bytes, available_bytes in self._parts(need):
            if requested_bytes > available_bytes:
                return Shortage(limited_by=limited_by, requested_bytes=requested_bytes, available_bytes=available_bytes)
        return None

    def _parts(self, need: MemoryForecast) -> Iterator[tuple[LimitedBy, int, int]]:
        if self.shared_pool:
            limits = [limit for limit in (self.device_bytes, self.host_bytes) if limit is not None]
            if limits:
                yield LimitedBy.POOL, need.device_bytes + need.host_bytes, min(limits)
            return
        if self.device_bytes is not None:
            yield LimitedBy.DEVICE, need.device_bytes, self.device_bytes
        if self.host_bytes is not None:
            yield LimitedBy.HOST, need.host_bytes, self.host_bytes
