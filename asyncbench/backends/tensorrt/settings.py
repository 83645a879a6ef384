"""Settings of the `tensorrt` backend beside the sweep itself."""

from __future__ import annotations

from dataclasses import dataclass, field

from asyncbench.backends.base import LaneFacts
from asyncbench.backends.tensorrt.build.messages import BuildSettings
from asyncbench.clock import NS_PER_S
from asyncbench.sweep.backends.tensorrt import EngineMode


@dataclass(frozen=True, slots=True, kw_only=True)
class LaneSettings:
    """Settings of the lanes, and of the pump that drives them.

    Attributes:
        completion: `spin`, `yield` or `block`.
        depth: Inferences queued on a lane at once.
        transfers: Whether the copies of inputs and outputs are part of an inference.
        gpu_time: Whether the device time of each inference is taken with a pair of events.
        deadline_ns: An inference that takes longer stops its lane; longer than the runner waits for a cell, so that
            what the user said comes first.
    """

    completion: str = "spin"
    depth: int = 1
    transfers: bool = False
    gpu_time: bool = False
    deadline_ns: int = 120 * NS_PER_S

    def facts(self, *, graph_reason: str | None) -> LaneFacts:
        """Return the facts for the record of lanes that run like this."""
        if graph_reason is not None:
            return LaneFacts(graph=False, graph_reason=graph_reason, completion="block")
        return LaneFacts(depth=self.depth, graph=True, completion=self.completion)


@dataclass(frozen=True, slots=True, kw_only=True)
class TensorRtSettings:
    """All settings of the backend.

    Attributes:
        memory_budget_bytes: The most device memory that engine and lanes may allocate; None for as much as there is.
    """

    lanes: LaneSettings = field(default_factory=LaneSettings)
    build: BuildSettings = field(default_factory=BuildSettings)
    engine_mode: EngineMode = EngineMode.AUTO
    memory_budget_bytes: int | None = None
