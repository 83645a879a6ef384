"""The bench process: holds one engine at a time and measures the cells it is asked for.

It may crash, hang or be killed; the supervisor at the other end of the pipe records that and starts another one.
"""

from __future__ import annotations

import gc
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path

import trio

from asyncbench.backends.base import Backend, EngineRequest, Report
from asyncbench.bench.accuracy.accuracy_cell import Quality, add_quality, asks_for_quality
from asyncbench.bench.cell.admitted_cell import AdmittedCell, measure_admitted
from asyncbench.bench.cell.cell_policy import cell_policy_of
from asyncbench.bench.cell.cell_record import RecordBase, failed_record, measured_record
from asyncbench.bench.cell.cell_runner import CellRunner, Progress, WatchCell
from asyncbench.bench.cell.output_check import ForeignReference, OutputCheck
from asyncbench.bench.cell.reference_outputs import ask_foreign
from asyncbench.bench.input_supply import InputSupply
from asyncbench.bench.memory.admission_controller import AdmissionController, ReadHost, memory_policy_of
from asyncbench.bench.model_under_test import ModelUnderTest, model_of
from asyncbench.bench.opened_engine import OpenedEngine, describe_device, describe_engine
from asyncbench.bench.runner_cost import runner_cost_ns
from asyncbench.clock import now_ns
from asyncbench.conditions.probes import FindProbes, Probes, built_in_probes, open_probes
from asyncbench.conditions.versions import library_versions
from asyncbench.error_translation import leaves_unfit, log_error
from asyncbench.errors import AsyncbenchError, BadInputError
from asyncbench.sweep.backend_options import check_backend_options
from asyncbench.sweep.cell import Precision
from asyncbench.sweep.config import Mode, SweepConfig
from asyncbench.wire.line_stream import read_lines
from asyncbench.wire.messages import (
    REQUESTS,
    Answer,
    CellEnded,
    CellProgress,
    EngineNotice,
    EngineOpened,
    Event,
    ForecastCells,
    InspectNetwork,
    NetworkInspected,
    OpenEngine,
    Request,
    RunCell,
    StopCell,
    refusal_of,
    to_line,
)

# The supervisor asks for one thing at a time; one more may be on its way.
REQUESTS_WAITING = 2
# What a cell may take to drain once the supervisor is gone.
ORPHAN_LIMIT_S = 30.0
PROGRESS_EVERY_S = 0.25

MakeBackend = Callable[[SweepConfig, Report], Backend]
MakeReference = Callable[[Backend, Precision], "Backend | None"]


class BenchServer:
    """Server of a bench process: answers requests, one at a time, until the pipe closes.

    Args:
        make_backend: Chooses the backend that a configuration asks for; it says what it does meanwhile.
        make_reference: Chooses the backend that another one's outputs are held to; None for those that need none.
        model_folder: Where the package's own graphs are written.
        events: The pipe to the supervisor.
        read_host: Reads the host's memory.
        find_probes: Finds what watches the machine while a cell runs.
    """

    def __init__(
        self,
        *,
        make_backend: MakeBackend,
        make_reference: MakeReference,
        model_folder: Path,
        events: trio.abc.SendStream,
        read_host: ReadHost,
        find_probes: FindProbes = built_in_probes,
    ) -> None:
        self._make_backend = make_backend
        self._make_reference = make_reference
        self._model_folder = model_folder
        self._events = events
        self._read_host = read_host
        self._find_probes = find_probes
        self._notices: list[str] = []
        self._stop_requested = trio.Event()
        self._progress: CellProgress | EngineNotice | None = None
        self._send_now = trio.Event()
        self._sending = trio.Lock()
        self._opened: OpenedEngine | None = None

    async def serve(self, requests: trio.abc.ReceiveStream) -> None:
        """Read requests until the pipe closes; then drain what runs and return."""
        send, receive = trio.open_memory_channel[Request](REQUESTS_WAITING)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._read, requests, send, nursery.cancel_scope)
            nursery.start_soon(self._send_progress)
            async with (
                open_probes(self._find_probes, self._notices.append) as probes,
                AsyncExitStack() as engine_stack,
                receive,
            ):
                async for request in receive:
                    await self._answer(request, engine_stack, probes)
            nursery.cancel_scope.cancel()

    async def _read(
        self, requests: trio.abc.ReceiveStream, send: trio.MemorySendChannel[Request], scope: trio.CancelScope
    ) -> None:
        async with send:
            async for line in read_lines(requests):
                request = REQUESTS.validate_json(line)
                if isinstance(request, StopCell):
                    self._stop_requested.set()
                else:
                    await send.send(request)
        self._stop_requested.set()
        scope.deadline = trio.current_time() + ORPHAN_LIMIT_S

    async def _answer(self, request: Request, engine_stack: AsyncExitStack, probes: Probes) -> None:
        try:
            if isinstance(request, OpenEngine):
                self._opened = None
                await engine_stack.aclose()
                # Engines and sessions are large and in cycles: the next one shall not have to live beside the last.
                gc.collect()
                await self._answer_with(await self._open(request, engine_stack))
            elif isinstance(request, RunCell):
                await self._run_cell(request, probes)
            elif isinstance(request, InspectNetwork):
                await self._answer_with(await trio.to_thread.run_sync(_inspect_network, Path(request.model_file)))
            elif isinstance(request, ForecastCells):
                await self._answer_with(await self._need_opened().forecast_cells())
        except Exception as error:  # noqa: BLE001 # whatever it is: the supervisor is told in one line, the log has the rest
            await self._answer_with(refusal_of(log_error("request.refused", error)))

    async def _open(self, request: OpenEngine, engine_stack: AsyncExitStack) -> EngineOpened:
        config = request.config
        policy = await trio.to_thread.run_sync(cell_policy_of, config)
        backend = self._make_backend(config, self._report)
        if unused := check_backend_options(config, backend=backend.name, flags=request.flags):
            await self._send(EngineNotice(text=unused, lasting=True))
        model = await trio.to_thread.run_sync(partial(model_of, config, model_folder=self._model_folder))
        wanted = model.request(precision=request.precision, device=request.device, may_build=request.may_build)
        quality = await self._open_quality(backend, model, wanted)
        engine = await engine_stack.enter_async_context(backend.open_engine(wanted))
        memory = await engine.read_memory()
        if config.memory_budget is not None and memory.free_bytes is None:
            text = f"--memory-budget has no effect: {engine.facts.backend} takes no device memory here"
            await self._send(EngineNotice(text=f"{text}; --host-memory-budget limits the host's", lasting=True))
        await trio.to_thread.run_sync(model.check_inputs, engine.facts.inputs)
        inputs = InputSupply(engine.facts.inputs, model.inputs)
        self._opened = OpenedEngine(
            request=request,
            engine=engine,
            policy=policy,
            controller=AdmissionController(
                engine,
                memory_policy_of(config),
                batches=config.batch,
                read_host=self._read_host,
                inputs=inputs,
            ),
            inputs=inputs,
            quality=quality,
            outputs=OutputCheck(
                model.count_labels, foreign=await self._foreign(backend, wanted, inputs), graph=model.graph
            ),
            model=model,
        )
        return EngineOpened(
            device=describe_device(engine.facts),
            engine=describe_engine(
                engine.facts, model, request, subset_hash=quality.subset_sha256 if quality else None
            ),
            versions=library_versions(),
            runner_cost_ns=await runner_cost_ns(engine),
        )

    async def _open_quality(self, backend: Backend, model: ModelUnderTest, wanted: EngineRequest) -> Quality | None:
        if model.config.dataset is None:
            if model.config.mode is Mode.ACCURACY:
                raise BadInputError("mode accuracy needs a labelled data set", remedy="name it with --dataset")
            return None
        # Not above: it takes decoders, metrics and scipy, and most sweeps ask for no accuracy.
        from asyncbench.bench.accuracy.accuracy_check import QualityCheck, open_labelled_data  # noqa: PLC0415

        data = await trio.to_thread.run_sync(open_labelled_data, model.config, model, wanted.precision)
        if not model.recognized:
            text = f"{model.path} is fed as {data.info.title} and not recognized as that: nothing published applies"
            await self._send(EngineNotice(text=text))
        return QualityCheck(data, reference=self._make_reference(backend, wanted.precision), request=wanted)

    async def _foreign(self, backend: Backend, wanted: EngineRequest, inputs: InputSupply) -> ForeignReference | None:
        reference = self._make_reference(backend, wanted.precision)
        if reference is None:
            return None
        return await ask_foreign(reference, wanted, await inputs.of(min(wanted.batches)))

    async def _run_cell(self, request: RunCell, probes: Probes) -> None:
        opened = self._need_opened()
        base = opened.record_base(request)
        max_lanes = min(base.cell.concurrency, request.max_lanes or base.cell.concurrency)
        ended = None
        if opened.request.config.mode is not Mode.ACCURACY:
            await probes.open(opened.engine.facts.device)
            make_runner = partial(self._make_runner, opened, base, probes.watch)
            ended = await _measure(
                measure_admitted(opened.controller, base.cell, make_runner, max_lanes=max_lanes), base
            )
        if asks_for_quality(opened.request.config, base.cell) and opened.quality and not (ended and ended.unfit):
            ended = await self._add_quality(opened, base, opened.quality, ended, max_lanes=max_lanes)
        if ended is None:
            raise AsyncbenchError(f"nothing was asked of {base.cell}")
        await self._answer_with(ended)

    async def _add_quality(
        self,
        opened: OpenedEngine,
        base: RecordBase,
        quality: Quality,
        timed: CellEnded | None,
        *,
        max_lanes: int,
    ) -> CellEnded:
        """Measure the accuracy of a cell whose speed may have been measured before."""
        on_progress = self._progress_of(base.index, max_lanes)
        started_at_ns = now_ns()
        return await add_quality(
            base,
            opened.engine,
            quality,
            opened.controller,
            timed=timed,
            max_lanes=max_lanes,
            stop_requested=self._stop_requested,
            on_progress=lambda done: on_progress("accuracy", done, now_ns() - started_at_ns),
        )

    def _need_opened(self) -> OpenedEngine:
        if self._opened is None:
            raise AsyncbenchError("a cell was asked for before its engine was open")
        return self._opened

    def _make_runner(self, opened: OpenedEngine, base: RecordBase, watch: WatchCell, lanes: int) -> CellRunner:
        progress = self._progress_of(base.index, lanes)
        progress("opening lanes", 0, 0)
        self._send_now.set()  # if memory kills this process, the next one must know how many lanes were too many
        return CellRunner(
            opened.engine,
            base.cell,
            opened.policy,
            lanes=lanes,
            controller=opened.controller,
            inputs=opened.inputs,
            outputs=opened.outputs,
            stop_requested=self._stop_requested,
            progress=progress,
            watch=watch,
        )

    def _report(self, text: str) -> None:
        self._progress = EngineNotice(text=text)

    def _progress_of(self, index: int, lanes: int) -> Progress:
        def on_progress(phase: str, n: int, elapsed_ns: int) -> None:
            self._progress = CellProgress(index=index, phase=phase, n=n, elapsed_ns=max(0, elapsed_ns), lanes=lanes)

        return on_progress

    async def _send_progress(self) -> None:
        """Send the latest progress now and then: whoever makes it must not wait for a pipe."""
        while True:
            with trio.move_on_after(PROGRESS_EVERY_S):
                await self._send_now.wait()
            self._send_now = trio.Event()
            if self._progress is not None:
                progress, self._progress = self._progress, None
                await self._send(progress)

    async def _answer_with(self, answer: Answer) -> None:
        self._progress = None  # what would be said after the answer is about what is over
        while self._notices:
            await self._send(EngineNotice(text=self._notices.pop(0), lasting=True))
        await self._send(answer)

    async def _send(self, event: Event) -> None:
        async with self._sending:
            await self._events.send_all(to_line(event))


def _inspect_network(path: Path) -> NetworkInspected:
    from asyncbench.bench.find_model import inspect_network  # noqa: PLC0415 # see model_of

    return inspect_network(path)


async def _measure(ran: Awaitable[AdmittedCell], base: RecordBase) -> CellEnded:
    try:
        return CellEnded(record=measured_record(base, await ran))
    except Exception as raised:  # noqa: BLE001 # it costs this cell, and not those after it
        error = log_error("cell.failed", raised, index=base.index)
        return CellEnded(record=failed_record(base, error), unfit=leaves_unfit(error))
