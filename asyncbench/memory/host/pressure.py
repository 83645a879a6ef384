"""Pressure stall information (PSI): for how long tasks waited for a resource.

Source: the kernel's Documentation/accounting/psi.rst.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from asyncbench.clock import NS_PER_US
from asyncbench.memory.host.cgroup_path import find_pressure_group
from asyncbench.memory.host.kernel_file import KernelFile

_SOME: Final = re.compile(r"^some avg10=(\d+\.\d+) .*\btotal=(\d+)\n", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class PressureReading:
    """Time in which at least one task waited.

    Attributes:
        some_avg10: Percent of the last 10 s, 0 to 100; the kernel updates it every 2 s.
        some_total_ns: All of it since the group or the machine started; exact at every reading.
    """

    some_avg10: float
    some_total_ns: int


class Pressure:
    """Pressure on one resource in the own group, or in the machine where groups do not count it. Open until `close`.

    A group's pressure counts whatever its tasks waited for, its own limit or the machine's: it is all we need to know.
    The machine's also counts what strangers waited for at limits of their own.

    Args:
        resource: `cpu`, `memory` or `io`.
    """

    def __init__(self, root: Path, resource: str) -> None:
        group = find_pressure_group(root)
        own = group.path / f"{resource}.pressure" if group else None
        self._file = KernelFile(own if own and own.exists() else root / "proc/pressure" / resource)

    def read(self) -> PressureReading | None:
        """Return the pressure now, or None where the kernel does not count it."""
        return parse_pressure(self._file.read())

    def close(self) -> None:
        """Close the file; again is harmless."""
        self._file.close()


def parse_pressure(text: str) -> PressureReading | None:
    """Return what the first line of a pressure file says, or None where it is not whole."""
    match = _SOME.search(text)
    if match is None:
        return None
    return PressureReading(some_avg10=float(match.group(1)), some_total_ns=int(match.group(2)) * NS_PER_US)
