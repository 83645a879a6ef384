"""How the pump launches the graphs of some lanes."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class LaunchSettings:
    """See `add_lane` of the native pump.

    Attributes:
        depth: Inferences queued on a lane at once.
        gpu_time: Whether the device time of each inference is taken.
        deadline_ns: An inference that takes longer stops its lane, so that no await hangs.
    """

    depth: int = 1
    gpu_time: bool = False
    deadline_ns: int | None = None
