"""A sweep, as its supervisor is given it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from asyncbench.clock import utc_now_text
from asyncbench.results.record import CellRecord, HeaderRecord
from asyncbench.supervisor.bench_client import ReadOom
from asyncbench.supervisor.engine_group import EngineGroup
from asyncbench.sweep.latency_limit import LatencyLimit
from asyncbench.wire.messages import EngineOpened


@dataclass(frozen=True, slots=True, kw_only=True)
class SweepRun:
    """The work of a supervisor.

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

    def header_of(self, opened: EngineOpened | None) -> HeaderRecord:
        """Return the header as of now; where an engine is open, with the facts of that."""
        known = self.header
        return HeaderRecord(
            sweep_id=known.sweep_id,
            created_at=utc_now_text(),
            asyncbench_version=known.asyncbench_version,
            command=known.command,
            config=known.config,
            cells=known.cells,
            versions=known.versions | (opened.versions if opened else {}),
            host=known.host,
            devices=[opened.device.model_dump(mode="json")] if opened else [],
            engines=[opened.engine.model_dump(mode="json")] if opened else [],
            runner_cost_ns=opened.runner_cost_ns if opened else {},
            seed=known.seed,
            resumed=known.resumed,
        )
