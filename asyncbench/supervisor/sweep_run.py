"""What a sweep is, for whoever leads it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from asyncbench.results.record import CellRecord, HeaderRecord
from asyncbench.supervisor.bench_client import ReadOom
from asyncbench.supervisor.engine_group import EngineGroup
from asyncbench.sweep.latency_limit import LatencyLimit
from asyncbench.wire.messages import EngineOpened


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepRun:
    """What a supervisor is to do.

    Attributes:
        bench_command: The command line that starts a bench process.
        read_oom: Counts what the kernel's out-of-memory killer has ended.
        header: The header as far as it is known before an engine is open.
        done: Records of a resumed file that need not be repeated, by index.
    """

    sweep_id: str
    groups: Sequence[EngineGroup]
    bench_command: Sequence[str]
    header: HeaderRecord
    read_oom: ReadOom
    latency_limit: LatencyLimit | None = None
    done: Mapping[int, CellRecord] = field(default_factory=dict)

    def opened_header(self, opened: EngineOpened) -> HeaderRecord:
        """Return the header with what is known once an engine is open."""
        return self.header.model_copy(
            update={
                "devices": [opened.device],
                "engines": [opened.engine],
                "versions": self.header.versions | opened.versions,
                "runner_cost_ns": opened.runner_cost_ns,
            }
        )
