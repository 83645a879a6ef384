"""Facts of the GPU that an engine is for."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

# "NVRM version: NVIDIA UNIX x86_64 Kernel Module  570.124.06  Wed …"; the open one has words between, too.
_DRIVER_VERSION = re.compile(r"^NVRM version:.*?\s(\d+)\.\d+", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuFacts:
    """One GPU, or the kind of GPU that an engine is built for ahead of time.

    Attributes:
        compute_capability: (major, minor), such as (9, 0).
        driver_major: Of the driver, such as 570; 0 where an engine is built without one, or it does not tell.
        cuda_major: Of the CUDA that the driver offers, such as 12.
        uuid: As the driver names it, such as `GPU-…` or `MIG-…`; empty where there is no GPU.
    """

    name: str
    compute_capability: tuple[int, int]
    driver_major: int
    cuda_major: int
    uuid: str = ""

    @property
    def compute_capability_text(self) -> str:
        """Such as `9.0`."""
        major, minor = self.compute_capability
        return f"{major}.{minor}"


def read_driver_major(root: Path = Path("/")) -> int:
    """Return the first number of the driver's own version, such as 570; 0 where it does not tell (a Jetson, WSL).

    Args:
        root: `/`, or a fake tree of /proc.
    """
    try:
        text = (root / "proc/driver/nvidia/version").read_text(encoding="ascii", errors="replace")
    except OSError:
        return 0
    found = _DRIVER_VERSION.search(text)
    return int(found[1]) if found else 0
