"""Record of a cell from what was seen of it: the verdict is given here, and nowhere else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from asyncbench.backends.base import EngineFacts, LaneFacts
from asyncbench.bench.cell.admitted_cell import AdmittedCell
from asyncbench.bench.cell.cell_memory import memory_block, memory_reasons, predicted_memory, starvation_of
from asyncbench.bench.cell.cell_meter import CellMeter
from asyncbench.bench.cell.cell_policy import CellPolicy
from asyncbench.bench.cell.cell_runner import CellMeasurement
from asyncbench.clock import NS_PER_S
from asyncbench.errors import AsyncbenchError, DoesNotFitError, Fact
from asyncbench.measurement.histogram import Histogram
from asyncbench.measurement.percentile import summarize
from asyncbench.measurement.stopping import achieved
from asyncbench.measurement.verdict import Verdict, judge
from asyncbench.memory.forecast import MemoryForecast
from asyncbench.results.accuracy import Accuracy
from asyncbench.results.cell_parts import Memory, Reason, Warmup
from asyncbench.results.latency import Latency, LatencyBlock
from asyncbench.results.record import CellRecord
from asyncbench.results.status import ReasonCode, Status, reason_code_of
from asyncbench.sweep.cell import Cell, Driver


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordBase:
    """Fields that every record of a cell carries, measured or not.

    Attributes:
        model_hash: What the model is known by; None where there is none.
        graph_precision: In which precision the model's file computes; None where that is not known.
    """

    sweep_id: str
    index: int
    attempt: int
    cell: Cell
    engine: EngineFacts
    policy: CellPolicy
    forecast: MemoryForecast
    started_at: str
    model_hash: str | None = None
    graph_precision: str | None = None

    def record(
        self,
        *,
        status: Status,
        reasons: list[Reason],
        memory: Memory,
        seen: CellMeasurement | None = None,
        accuracy: Accuracy | None = None,
        facts: Mapping[str, Fact] | None = None,
    ) -> CellRecord:
        """Return the record of this cell.

        Args:
            seen: What was measured; None where nothing was.
        """
        window = seen.window if seen else None
        lanes = seen.lane_facts if seen else LaneFacts()
        return CellRecord(
            sweep_id=self.sweep_id,
            index=self.index,
            status=status,
            reasons=reasons,
            model=self.cell.model,
            device=self.engine.device,
            backend=self.engine.backend,
            precision=self.cell.precision,
            graph_precision=self.graph_precision,
            batch=self.cell.batch,
            concurrency=self.cell.concurrency,
            depth=lanes.depth,
            load=self.policy.load.name,
            load_statistics=dict(seen.load_statistics) if seen else {},
            attempt=self.attempt,
            started_at=self.started_at,
            n=window.n if window else 0,
            window_ns=window.window_ns if window else None,
            throughput_items_s=window.inferences_per_s * self.cell.batch if window else None,
            throughput_queries_s=window.inferences_per_s if window else None,
            latency=_latency(seen.meter) if seen and window else Latency(),
            achieved_concurrency=window.mean_in_flight if window else None,
            littles_law_residual=window.littles_law_residual if window else None,
            drift_ratio=seen.meter.drift.drift_ratio() if seen and window else None,
            longest_gap_ns=window.longest_gap_ns if window else None,
            stalls=seen.stalls if seen and window else None,
            cpu_throttling=seen.conditions.throttling if seen and window else None,
            warmup=_warmup(seen) if seen else None,
            memory=memory,
            gpu=seen.conditions.gpu if seen else None,
            conditions=seen.conditions.details if seen else {},
            cpu_s_per_item=_cpu_s_per_item(seen, batch=self.cell.batch) if seen and window else None,
            joules_per_item=_joules_per_item(seen, batch=self.cell.batch) if seen and window else None,
            runner_ns_per_inference=_runner_ns(seen, closed_loop=self.policy.load.is_closed_loop) if seen else None,
            graph=lanes.graph,
            graph_reason=lanes.graph_reason,
            driver=self.policy.driver,
            completion=lanes.completion,
            input=self.policy.input_kind,
            outputs_checked=seen.outputs.checked if seen and seen.outputs else None,
            accuracy=accuracy,
            engine_hash=self.engine.engine_hash,
            model_hash=self.model_hash,
            switch_ns=seen.switch_ns if seen else None,
            facts=dict(facts or {}),
        )


def failed_record(base: RecordBase, error: AsyncbenchError, *, code: ReasonCode = ReasonCode.LANE_FAILED) -> CellRecord:
    """Return the record of a cell that ended in an error, or that memory or a limit was in the way of.

    Args:
        code: Of an error that has none of its own.
    """
    return base.record(
        status=Status.DOES_NOT_FIT if isinstance(error, DoesNotFitError) else Status.ERROR,
        reasons=[Reason(code=reason_code_of(error, otherwise=code), text=str(error))],
        memory=predicted_memory(base.forecast, refusal=error.facts),
        facts=error.facts,
    )


def measured_record(base: RecordBase, ran: AdmittedCell) -> CellRecord:
    """Return the record of a cell that ran, whole or cut short."""
    seen = ran.seen
    verdict = _verdict(base, seen)
    reasons = list(verdict.reasons)
    reasons += seen.outputs.notes if seen.outputs else ()
    reasons += memory_reasons(ran, concurrency=base.cell.concurrency)
    memory = memory_block(ran)
    if not _starved(seen):
        return base.record(status=verdict.status, reasons=reasons, memory=memory, seen=seen)
    starvation = starvation_of(ran)
    others = [reason for reason in reasons if reason.code != ReasonCode.NO_COMPLETIONS]
    reasons = [Reason(code=ReasonCode.MEMORY, text=starvation.text), *others]
    return base.record(status=Status.DOES_NOT_FIT, reasons=reasons, memory=memory, seen=seen, facts=starvation.facts)


def _starved(seen: CellMeasurement) -> bool:
    """Return whether memory pressure left no lane to go on with, or to complete anything at all."""
    has_no_lane = bool(seen.lane_changes) and seen.lane_changes[-1].lanes == 0
    return has_no_lane and (seen.starved or seen.window is None) and not seen.interrupted


def _verdict(base: RecordBase, seen: CellMeasurement) -> Verdict:
    histogram = seen.meter.histogram
    return judge(
        stop_reason=seen.stop_reason,
        rule=base.policy.rule,
        interrupted=seen.interrupted,
        output_mismatch=seen.outputs.mismatch if seen.outputs else None,
        window=seen.window,
        progress=achieved(histogram),
        drift_ratio=seen.meter.drift.drift_ratio(),
        stalls=seen.stalls,
        throttling=seen.conditions.throttling,
        lanes=seen.resident_lanes,
        withheld=seen.withheld_ns > 0,
        steady=seen.steady,
        awaited=base.policy.driver is Driver.AWAIT,
        closed_loop=base.policy.load.is_closed_loop,
    )


def _warmup(seen: CellMeasurement) -> Warmup:
    return Warmup(n=seen.meter.warmup_count, duration_ns=seen.warmup_ns, steady=seen.steady)


def _cpu_s_per_item(seen: CellMeasurement, *, batch: int) -> float | None:
    cpu_ns = seen.conditions.cpu_ns
    return None if cpu_ns is None else cpu_ns / NS_PER_S / (seen.meter.ran_by_closing * batch)


def _joules_per_item(seen: CellMeasurement, *, batch: int) -> float | None:
    joules = seen.conditions.joules
    return None if joules is None else joules / (seen.meter.ran_by_closing * batch)


def _latency(meter: CellMeter) -> Latency:
    window, queue_waits = meter.window, meter.queue_waits
    return Latency(
        service=_block(window.histogram),
        service_undisturbed=_block(window.undisturbed_histogram),
        enqueue=_block(window.enqueue_histogram),
        gpu=_block(window.gpu_histogram),
        wait=_block(queue_waits.wait if queue_waits else window.wait_histogram),
        response=_block(queue_waits.response if queue_waits else window.response_histogram),
    )


def _block(histogram: Histogram | None) -> LatencyBlock | None:
    return summarize(histogram) if histogram is not None and histogram.count else None


def _runner_ns(seen: CellMeasurement, *, closed_loop: bool) -> float | None:
    """Return the time a lane stood idle per inference: what the runner took between completion and the next issue.

    None where lanes stood idle for want of memory, too, or because the load wanted it.
    """
    if seen.window is None or not seen.window.n or seen.withheld_ns or not closed_loop:
        return None
    idle_lanes = max(0.0, seen.resident_lanes - seen.window.mean_in_flight)
    return idle_lanes * seen.window.window_ns / seen.window.n
