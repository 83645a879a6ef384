"""From what was seen of a cell to its record: the verdict is given here, and nowhere else."""

from __future__ import annotations

from dataclasses import dataclass

from asyncbench.backends.base import EngineFacts, LaneFacts
from asyncbench.bench.cell.admitted_cell import AdmittedCell
from asyncbench.bench.cell.cell_memory import memory_block, memory_reasons, refused_memory, starvation_of
from asyncbench.bench.cell.cell_policy import CellPolicy
from asyncbench.bench.cell.cell_runner import CellMeasurement
from asyncbench.clock import NS_PER_S
from asyncbench.errors import AsyncbenchError, DoesNotFitError, InternalError, LimitError
from asyncbench.measurement.disturbance import Stalls
from asyncbench.measurement.histogram import Histogram
from asyncbench.measurement.percentile import summarize
from asyncbench.measurement.stopping import achieved
from asyncbench.measurement.verdict import ReasonCode, Verdict, judge
from asyncbench.memory.forecast import MemoryForecast
from asyncbench.memory.host.cpu_quota import Throttling
from asyncbench.results.cell_parts import CpuThrottling, Memory, OutputsChecked, Reason, StoodStill, Warmup
from asyncbench.results.latency import Latency, LatencyBlock
from asyncbench.results.record import CellRecord
from asyncbench.results.status import Status
from asyncbench.sweep.cell import Cell, Driver


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordBase:
    """What every record of a cell carries, measured or not.

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

    def record(self, *, status: Status, reasons: list[Reason], **measured: object) -> CellRecord:
        """Return the record of this cell with what was measured filled in."""
        values: dict[str, object] = {
            "sweep_id": self.sweep_id,
            "index": self.index,
            "attempt": self.attempt,
            "status": status,
            "reasons": reasons,
            "model": self.cell.model,
            "device": self.engine.device,
            "backend": self.engine.backend,
            "precision": self.cell.precision,
            "batch": self.cell.batch,
            "concurrency": self.cell.concurrency,
            "started_at": self.started_at,
            "load": self.policy.load.name,
            "driver": self.policy.driver,
            "input": self.policy.input_kind,
            "engine_hash": self.engine.engine_hash,
            "model_hash": self.model_hash,
            "graph_precision": self.graph_precision,
            "memory": self.memory(),
        }
        return CellRecord.model_validate(values | measured)

    def memory(self) -> Memory:
        """Return the memory block of a cell that did not run: what was predicted for all its lanes."""
        return Memory(predicted_device_bytes=self.forecast.device_bytes, predicted_host_bytes=self.forecast.host_bytes)


def failed_record(frame: RecordBase, error: AsyncbenchError, *, code: str = "lane_failed") -> CellRecord:
    """Return the record of a cell that ended in an error, or that memory or a limit was in the way of."""
    status = Status.DOES_NOT_FIT if isinstance(error, DoesNotFitError) else Status.ERROR
    reasons = [Reason(code=_code_of(error) or code, text=str(error))]
    memory = refused_memory(frame.memory(), error.facts)
    return frame.record(status=status, reasons=reasons, memory=memory, facts=dict(error.facts))


def _code_of(error: AsyncbenchError) -> str | None:
    """Return the code of a reason that is the same wherever it comes from."""
    if isinstance(error, InternalError):
        return "internal_error"
    if isinstance(error, DoesNotFitError):
        return "limit" if isinstance(error, LimitError) else "memory"
    return None


def measured_record(frame: RecordBase, ran: AdmittedCell) -> CellRecord:
    """Return the record of a cell that ran, whole or cut short."""
    seen = ran.seen
    verdict = _verdict(frame, seen)
    window = seen.window
    items_per_s = window.inferences_per_s * frame.cell.batch if window else None
    measured: dict[str, object] = {
        "warmup": Warmup(n=seen.meter.warmup_count, duration_ns=seen.warmup_ns, steady=seen.steady),
        "memory": memory_block(ran),
        "outputs_checked": _outputs(seen),
        **_lane_facts(seen.lane_facts),
        "switch_ns": seen.switch_ns,
        "load_statistics": dict(seen.load_statistics),
    }
    if window is not None:
        ran_items = seen.meter.ran_by_closing * frame.cell.batch
        measured |= {
            "n": window.n,
            "window_ns": window.window_ns,
            "throughput_items_s": items_per_s,
            "throughput_queries_s": window.inferences_per_s,
            "latency": _latency(seen),
            "achieved_concurrency": window.mean_in_flight,
            "littles_law_residual": window.littles_law_residual,
            "drift_ratio": seen.meter.drift.drift_ratio(),
            "cpu_s_per_item": max(0, seen.cpu_ns) / NS_PER_S / ran_items,
            "longest_gap_ns": window.longest_gap_ns,
            "stalls": _stalls(seen.stalls),
            "cpu_throttling": _throttling(seen.throttling),
            "runner_ns_per_inference": _runner_ns(seen, closed_loop=frame.policy.load.is_closed_loop),
        }
    reasons = [Reason(code=reason.code, text=reason.text) for reason in verdict.reasons]
    reasons += seen.outputs.notes if seen.outputs else ()
    reasons += memory_reasons(ran, concurrency=frame.cell.concurrency)
    if not _starved(seen):
        return frame.record(status=verdict.status, reasons=reasons, **measured)
    starvation = starvation_of(ran)
    reasons = [Reason(code="memory", text=starvation.text), *_without(reasons, ReasonCode.NO_COMPLETIONS)]
    return frame.record(status=Status.DOES_NOT_FIT, reasons=reasons, facts=starvation.facts, **measured)


def _starved(seen: CellMeasurement) -> bool:
    """Return whether memory pressure left no lane to go on with, or to complete anything at all."""
    has_no_lane = bool(seen.lane_changes) and seen.lane_changes[-1].lanes == 0
    return has_no_lane and (seen.starved or seen.window is None) and not seen.interrupted


def _without(reasons: list[Reason], code: str) -> list[Reason]:
    return [reason for reason in reasons if reason.code != code]


def _lane_facts(facts: LaneFacts) -> dict[str, object]:
    return {
        "depth": facts.depth,
        "graph": facts.graph,
        "graph_reason": facts.graph_reason,
        "completion": facts.completion,
    }


def _verdict(frame: RecordBase, seen: CellMeasurement) -> Verdict:
    histogram = seen.meter.histogram
    return judge(
        stop_reason=seen.stop_reason,
        rule=frame.policy.rule,
        interrupted=seen.interrupted,
        canary_mismatch=seen.outputs.mismatch if seen.outputs else None,
        window=seen.window,
        progress=achieved(histogram),
        drift_ratio=seen.meter.drift.drift_ratio(),
        stalls=seen.stalls,
        throttling=seen.throttling,
        lanes=seen.resident_lanes,
        withheld=seen.withheld_ns > 0,
        steady=seen.steady,
        awaited=frame.policy.driver is Driver.AWAIT,
        closed_loop=frame.policy.load.is_closed_loop,
    )


def _latency(seen: CellMeasurement) -> Latency:
    window, queue_waits = seen.meter.window, seen.meter.queue_waits
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


def _stalls(stalls: Stalls) -> StoodStill | None:
    if not stalls.n and not stalls.suspended_ns:
        return None
    return StoodStill(
        n=stalls.n, total_ns=stalls.total_ns, longest_ns=stalls.longest_ns, suspended_ns=stalls.suspended_ns
    )


def _throttling(throttling: Throttling | None) -> CpuThrottling | None:
    if throttling is None:
        return None
    return CpuThrottling(
        quota_cpus=throttling.quota_cpus,
        periods=throttling.periods,
        throttled_periods=throttling.throttled_periods,
        throttled_ns=throttling.throttled_ns,
    )


def _outputs(seen: CellMeasurement) -> OutputsChecked | None:
    if seen.outputs is None:
        return None
    return OutputsChecked(
        reference=seen.outputs.reference,
        lanes=seen.outputs.lanes,
        max_abs_difference=seen.outputs.max_abs_difference,
        labels_right=seen.outputs.labels_right,
        labels_counted=seen.outputs.labels_counted,
    )
