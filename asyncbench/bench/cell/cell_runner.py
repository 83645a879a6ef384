"""Run of one cell on an open engine: lanes, warm-up, window, drain, check of the outputs."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass

import trio
from pydantic import JsonValue

from asyncbench.backends.base import Engine, Lane, LaneFacts
from asyncbench.bench.cell.cell_meter import CellMeter
from asyncbench.bench.cell.cell_policy import CellPolicy
from asyncbench.bench.cell.output_check import OutputCheck, OutputComparison
from asyncbench.bench.input_supply import InputSupply
from asyncbench.bench.load.generator import LoadGenerator
from asyncbench.bench.memory.admission_controller import AdmissionController
from asyncbench.bench.memory.governor import Governor
from asyncbench.clock import NS_PER_S, now_ns
from asyncbench.conditions.heartbeat import Heartbeat
from asyncbench.conditions.probe import Conditions, Span
from asyncbench.conditions.probes import CellWatches, watch_nothing
from asyncbench.errors import DeviceLostError
from asyncbench.measurement.stopping import StopReason, decide
from asyncbench.measurement.window import WindowResult
from asyncbench.results.cell_parts import LaneChange, Stalls
from asyncbench.sweep.cell import Cell
from asyncbench.units import format_duration

# How often the stop rule is asked: 1 % of the default shortest window of 0.5 s would be finer than a person sees.
TICK_S = 0.05
# A network that has not become steady by then is measured as it is, and the record says so.
STEADY_LIMIT_NS = NS_PER_S // 2

Progress = Callable[[str, int, int], None]
WatchCell = Callable[[], AbstractAsyncContextManager[CellWatches]]


@dataclass(frozen=True, slots=True, kw_only=True)
class CellMeasurement:
    """Measurement of one cell, before any verdict on it.

    Attributes:
        used_device_bytes: What the lanes took of the device; None where there is none.
        used_host_bytes: What the resident size rose by at most, and inputs that the cell before had left; None where
            no probe tells.
        lane_changes: Changes by the governor; where the window never opened, from the beginning of the warm-up.
        withheld_ns: For how long it withheld at least one lane.
        starved: Whether all lanes were withheld until the cell was given up.
        load_statistics: The statistics of the load itself.
        warmup_ns: Time from the first inference to the opening of the window.
        switch_ns: Time from the call to the first inference: lanes, inputs and the reference output.
        stalls: When this process stood still in the window; None where it never did.
        conditions: The observations of the probes.
    """

    resident_lanes: int
    lane_facts: LaneFacts
    stop_reason: StopReason | None
    interrupted: bool
    window: WindowResult | None
    meter: CellMeter
    warmup_ns: int
    steady: bool
    switch_ns: int
    stalls: Stalls | None
    conditions: Conditions
    used_device_bytes: int | None
    used_host_bytes: int | None
    lane_changes: Sequence[LaneChange]
    withheld_ns: int
    starved: bool
    outputs: OutputComparison | None
    load_statistics: Mapping[str, JsonValue]


class CellRunner:
    """One cell, once, on as many lanes as were admitted.

    Args:
        lanes: From 1 to the cell's concurrency; below it workers take turns.
        inputs: Where the inputs of its batch come from.
        outputs: The reference outputs, shared by all cells of an engine.
        stop_requested: Set when the user wants the sweep to end; the cell then drains and returns what it has.
        progress: Called about four times a second with phase, inferences so far, and nanoseconds in the phase.
        watch: Has the probes watch the cell.
    """

    def __init__(
        self,
        engine: Engine,
        cell: Cell,
        policy: CellPolicy,
        *,
        lanes: int,
        controller: AdmissionController,
        inputs: InputSupply,
        outputs: OutputCheck,
        stop_requested: trio.Event,
        progress: Progress,
        watch: WatchCell = watch_nothing,
    ) -> None:
        self._engine = engine
        self._cell = cell
        self._policy = policy
        self._inputs = inputs
        self._outputs = outputs
        self._stop_requested = stop_requested
        self._progress = progress
        self._watch = watch
        self._controller = controller
        self._lane_count = lanes
        self._meter = CellMeter(
            lanes=lanes,
            concurrency=cell.concurrency,
            iterations=policy.rule.iterations,
            closed_loop=policy.load.is_closed_loop,
        )
        self._load_statistics: Mapping[str, JsonValue] = {}
        self._governor: Governor | None = None
        self._stop_reason: StopReason | None = None
        self._started_at_ns = 0
        self._opened_at_ns = 0
        self._steady = False
        self._heartbeat = Heartbeat(engine.now_ns, every_ns=round(TICK_S * NS_PER_S))
        self._stalled_since_ns = 0
        self._seen_count = -1
        self._all_withheld = False
        self._starved = False

    async def run(self) -> CellMeasurement:
        """Measure the cell.

        Raises:
            DoesNotFitError: Memory for the lanes was refused.
            LaneError: An inference failed, or nothing completed within the stall limit.
        """
        called_at_ns = now_ns()
        self._inputs.release_others(self._cell.batch)
        held_bytes = self._inputs.held_bytes
        async with self._watch() as watches:
            inputs = await self._inputs.of(self._cell.batch)
            async with self._engine.open_lanes(batch=self._cell.batch, count=self._lane_count, inputs=inputs) as lanes:
                await self._outputs.learn(self._cell.batch, lanes[0])
                if not self._policy.load.is_closed_loop:
                    await _run_each_once(lanes)
                memory = await self._engine.read_memory()
                switch_ns = now_ns() - called_at_ns
                governor = self._governor = self._new_governor(lanes)
                await self._warm_up_and_measure(lanes, governor, watches)
                has_outputs = self._compares(governor)
                comparison = self._outputs.compare(self._cell.batch, governor.active) if has_outputs else None
            window = self._meter.window.result() if self._meter.histogram.count else None
            span = None if window is None else Span(opened_at_ns=window.opened_at_ns, ended_at_ns=window.ended_at_ns)
            conditions = watches.conditions(span)
        return CellMeasurement(
            resident_lanes=len(lanes),
            lane_facts=self._engine.lane_facts,
            stop_reason=self._stop_reason,
            interrupted=self._stop_requested.is_set() and self._stop_reason is None,
            window=window,
            meter=self._meter,
            warmup_ns=max(0, self._opened_at_ns - self._started_at_ns),
            steady=self._steady,
            switch_ns=switch_ns,
            stalls=self._stalls_in(span),
            conditions=conditions,
            used_device_bytes=None if memory.free_bytes is None else memory.open_bytes,
            used_host_bytes=_used(conditions.host_rise_bytes, held_bytes=held_bytes),
            lane_changes=[change.since(self._opened_at_ns or self._started_at_ns) for change in governor.changes],
            withheld_ns=governor.withheld_ns(),
            starved=self._starved,
            outputs=comparison,
            load_statistics=self._load_statistics,
        )

    def _stalls_in(self, span: Span | None) -> Stalls | None:
        if span is None:
            return None
        return self._heartbeat.stalls(opened_at_ns=span.opened_at_ns, ended_at_ns=span.ended_at_ns)

    def _compares(self, governor: Governor) -> bool:
        return bool(governor.active) and bool(self._meter.histogram.count or self._meter.warmup_count)

    def _new_governor(self, lanes: Sequence[Lane]) -> Governor:
        return Governor(
            self._controller.headrooms,
            lanes,
            lane_need=self._controller.lane_need(batch=self._cell.batch, lanes=self._lane_count),
            now_ns=self._engine.now_ns,
            on_change=self._lanes_changed,
        )

    def _lanes_changed(self, all_run: bool) -> None:  # noqa: FBT001 # a callback with one thing to say
        self._meter.set_disturbed(disturbed=not all_run)

    async def _warm_up_and_measure(self, lanes: Sequence[Lane], governor: Governor, watches: CellWatches) -> None:
        self._started_at_ns = self._engine.now_ns()
        self._stalled_since_ns = self._started_at_ns
        loop = self._loop(lanes, governor)
        await self._run(loop, governor, lambda: self._warm_up_then_measure(loop, watches))

    async def _run(self, loop: LoadGenerator, governor: Governor, body: Callable[[], Awaitable[None]]) -> None:
        """Run the loop with the governor beside its body."""
        is_body_whole = True

        async def governed() -> None:
            nonlocal is_body_whole
            try:
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(governor.run, loop)
                    await body()
                    nursery.cancel_scope.cancel()
            except Exception:
                is_body_whole = False
                raise

        self._meter.start(self._engine.now_ns())
        self._heartbeat.start()
        try:
            await loop.run(governed)
        except Exception as error:
            if is_body_whole and (failed := self._policy.load.failure(error)) is not None:
                raise failed from error
            raise
        self._meter.finish(self._engine.now_ns())
        self._load_statistics = loop.statistics()

    def _loop(self, lanes: Sequence[Lane], governor: Governor) -> LoadGenerator:
        return self._policy.load.make(
            lanes,
            concurrency=self._cell.concurrency,
            driver=self._policy.driver,
            record=self._meter.record,
            withheld=governor.withheld,
            now_ns=self._engine.now_ns,
        )

    async def _warm_up_then_measure(self, loop: LoadGenerator, watches: CellWatches) -> None:
        await self._warm_up(loop)
        if not self._is_over():
            self._opened_at_ns = self._engine.now_ns()
            self._meter.open_window(self._opened_at_ns)
            watches.window_opened()
            await self._until_decided(loop)
            self._meter.close_window(self._engine.now_ns())
            self._heartbeat.beat()  # a stall may reach up to here
            watches.window_closed()

    async def _warm_up(self, loop: LoadGenerator) -> None:
        while not self._is_over() and not self._warm():
            await self._tick(loop, "warming up", self._started_at_ns)
        self._steady = self._meter.steady

    def _warm(self) -> bool:
        # The window opens at the last completion: one from before a stall would bring the stall into the window.
        if self._heartbeat.stalled_since(self._meter.last_completed_at_ns or self._started_at_ns):
            return False
        elapsed_ns = self._engine.now_ns() - self._started_at_ns
        if self._policy.warmup_ns is not None:
            return elapsed_ns >= self._policy.warmup_ns
        every_lane_ran = self._meter.warmup_count >= self._lane_count
        return self._meter.steady or (every_lane_ran and elapsed_ns >= STEADY_LIMIT_NS)

    async def _until_decided(self, loop: LoadGenerator) -> None:
        while not self._is_over():
            await self._tick(loop, "measuring", self._opened_at_ns)
            elapsed_ns = self._engine.now_ns() - self._opened_at_ns
            self._stop_reason = decide(self._policy.rule, self._meter.histogram, elapsed_ns, seen=self._meter.seen)
            if self._stop_reason is not None:
                return

    async def _tick(self, loop: LoadGenerator, phase: str, since_ns: int) -> None:
        with trio.move_on_after(TICK_S):
            await self._stop_requested.wait()
        if self._heartbeat.beat():
            self._stalled_since_ns = self._engine.now_ns()  # nothing could complete while the process stood still
        looked_at_ns = self._engine.now_ns()
        loop.flush()
        self._meter.settle(looked_at_ns, busy=loop.busy())
        count = self._meter.seen if phase == "measuring" else self._meter.warmup_count
        self._progress(phase, count, self._engine.now_ns() - since_ns)
        self._look_for_stall(count, phase)

    def _is_over(self) -> bool:
        return self._stop_requested.is_set() or self._starved

    def _look_for_stall(self, count: int, phase: str) -> None:
        """Give up where nothing completes: for want of memory that is a result, otherwise the device is lost.

        Memory is waited for where the phase has an end of its own.
        """
        now = self._engine.now_ns()
        all_withheld = self._governor is not None and not self._governor.active
        if count != self._seen_count or all_withheld is not self._all_withheld:
            self._seen_count, self._all_withheld = count, all_withheld
            self._stalled_since_ns = now
        elif now - self._stalled_since_ns <= self._policy.stall_limit_ns:
            return
        elif all_withheld:
            policy = self._policy
            self._starved = policy.warmup_ns is None if phase == "warming up" else policy.rule.iterations is not None
        else:
            limit = format_duration(self._policy.stall_limit_ns)
            raise DeviceLostError(
                f"no inference of {self._cell} completed for {limit}",
                remedy="raise --cell-timeout if one inference really takes that long",
            )


async def _run_each_once(lanes: Sequence[Lane]) -> None:
    """Run an inference on each lane: the outputs of all are compared, whether or not the load ever uses them."""
    for lane in lanes:
        await lane.infer()


def _used(rise_bytes: int | None, *, held_bytes: int) -> int | None:
    """Return what a cell took, the inputs that were there before it included."""
    return None if rise_bytes is None else max(0, rise_bytes + held_bytes)
