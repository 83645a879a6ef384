"""Host: what a CPU quota withheld in the window, what tasks waited for, and how fast the processor ran."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import ExitStack, asynccontextmanager, closing
from pathlib import Path
from typing import Final

from pydantic import JsonValue

from asyncbench.conditions.probe import Block, CellWatch, Probe, Span
from asyncbench.memory.host.cpu_quota import CpuQuota, ThrottleCounts
from asyncbench.memory.host.kernel_file import only_number, read_once
from asyncbench.memory.host.pressure import Pressure, PressureReading
from asyncbench.results.cell_parts import CpuThrottling

_RESOURCES: Final = ("cpu", "memory", "io")
_CPU_FIELD_AFTER_NAME: Final = 36
"""Of /proc/thread-self/stat: field 39, `processor`, counted from the one after the name in brackets (proc(5))."""
_HZ_PER_KHZ: Final = 1000


@asynccontextmanager
async def open_host_load(_device: str) -> AsyncIterator[Probe]:
    """Open the probe of the machine that the bench process runs on."""
    yield HostLoad()


class HostLoad:
    """Probe of the control groups and the processors of this machine; only inside a watch it keeps files open.

    Args:
        root: `/`, or a fake tree.
    """

    def __init__(self, root: Path = Path("/")) -> None:
        self._root = root

    @asynccontextmanager
    async def watch(self) -> AsyncIterator[CellWatch]:
        """Open the kernel's counters, so that the edges of the window only read."""
        with ExitStack() as files:
            quota = files.enter_context(closing(CpuQuota(self._root)))
            pressures = {each: files.enter_context(closing(Pressure(self._root, each))) for each in _RESOURCES}
            yield _HostLoadWatch(self._root, quota, pressures)


class _HostLoadWatch:
    def __init__(self, root: Path, quota: CpuQuota, pressures: Mapping[str, Pressure]) -> None:
        self._root = root
        self._quota = quota
        self._pressures = pressures
        self._counts_before: list[ThrottleCounts] = []
        self._pressure_before: dict[str, PressureReading | None] = {}
        self._throttling: CpuThrottling | None = None
        self._details: dict[str, JsonValue] = {}

    def window_opened(self) -> None:
        self._counts_before = [*self._quota.read()]
        self._pressure_before = self._read_pressures()

    def window_closed(self) -> None:
        self._throttling = self._quota.throttling_since(self._counts_before)
        pressure_after = self._read_pressures()
        # Only here: older kernels take up to 10 ms for it, which would be part of the window where it opens.
        self._details["cpu_frequency_hz"] = cpu_frequency_hz(self._root)
        for resource, before in self._pressure_before.items():
            self._details[f"{resource}_pressure"] = _pressure_block(before, pressure_after[resource])

    def block(self, _window: Span | None) -> Block:
        return Block(throttling=self._throttling, details=self._details)

    def _read_pressures(self) -> dict[str, PressureReading | None]:
        return {resource: pressure.read() for resource, pressure in self._pressures.items()}


def _pressure_block(before: PressureReading | None, after: PressureReading | None) -> dict[str, JsonValue] | None:
    if before is None or after is None:
        return None
    return {"some_avg10": after.some_avg10, "some_ns": max(0, after.some_total_ns - before.some_total_ns)}


def cpu_frequency_hz(root: Path = Path("/")) -> int | None:
    """Return the frequency of the processor that this thread runs on, or None where /sys does not tell."""
    _, _, after_name = read_once(root / "proc/thread-self/stat").rpartition(")")
    fields = after_name.split()
    if len(fields) <= _CPU_FIELD_AFTER_NAME:
        return None
    cpu = fields[_CPU_FIELD_AFTER_NAME]
    khz = only_number(read_once(root / f"sys/devices/system/cpu/cpu{cpu}/cpufreq/scaling_cur_freq"))
    return None if khz is None else khz * _HZ_PER_KHZ
