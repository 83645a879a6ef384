"""What is known of the GPU that an engine is for."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class GpuFacts:
    """One GPU, or the kind of GPU that an engine is built for ahead of time.

    Attributes:
        compute_capability: (major, minor), such as (9, 0).
        driver_major: Of the driver, such as 570; 0 where an engine is built without one.
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
