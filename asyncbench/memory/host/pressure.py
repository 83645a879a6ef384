"""How long tasks waited for memory (PSI). Source: the kernel's Documentation/accounting/psi.rst."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from asyncbench.clock import NS_PER_US
from asyncbench.memory.host.cgroup_path import find_pressure_group
from asyncbench.memory.host.kernel_file import KernelFile

_LINE: Final = re.compile(r"^(some|full) avg10=(\d+\.\d+) .*\btotal=(\d+)\n", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class PressureReading:
    """Time in which tasks waited for memory: at least one of them (some), or all of them at once (full).

    Attributes:
        some_avg10: Percent of the last 10 s, 0 to 100; the kernel updates it every 2 s.
        some_total_ns: All of it since the group or the machine started; exact at every reading.
    """

    some_avg10: float
    some_total_ns: int
    full_avg10: float
    full_total_ns: int


class MemoryPressure:
    """The pressure of the own group, or of the machine where groups do not count it. Open until `close`.

    A group's pressure counts whatever its tasks waited for, its own limit or the machine's: it is all we need to know.
    The machine's also counts what strangers waited for at limits of their own.
    """

    def __init__(self, root: Path) -> None:
        group = find_pressure_group(root)
        own = group.path / "memory.pressure" if group else None
        self._file = KernelFile(own if own and own.exists() else root / "proc/pressure/memory")

    def read(self) -> PressureReading | None:
        """Return the pressure now, or None where the kernel does not count it."""
        return parse_pressure(self._file.read())

    def close(self) -> None:
        """Close the file; again is harmless."""
        self._file.close()


def parse_pressure(text: str) -> PressureReading | None:
    """Return the two lines of a pressure file, or None where they are not both whole."""
    lines = {kind: (float(avg10), int(total_us) * NS_PER_US) for kind, avg10, total_us in _LINE.findall(text)}
    if len(lines) < len(("some", "full")):
        return None
    (some_avg10, some_total_ns), (full_avg10, full_total_ns) = lines["some"], lines["full"]
    return PressureReading(
        some_avg10=some_avg10, some_total_ns=some_total_ns, full_avg10=full_avg10, full_total_ns=full_total_ns
    )
