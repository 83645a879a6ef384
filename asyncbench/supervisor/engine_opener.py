"""Engines of a sweep: opened, refused, tried again; what that costs the cells behind them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from asyncbench.errors import AsyncbenchError, BenchProcessDiedError, DoesNotFitError
from asyncbench.supervisor.bench_client import BenchClient
from asyncbench.supervisor.engine_group import EngineGroup
from asyncbench.supervisor.events import EngineOpening, Notice, Subscriber
from asyncbench.supervisor.failed_cell import is_out_of_memory
from asyncbench.supervisor.failed_opens import AfterFailedOpen, FailedOpens
from asyncbench.supervisor.recorder import SweepRecorder
from asyncbench.supervisor.resume_check import check_same_engine
from asyncbench.supervisor.stop_request import StopRequest
from asyncbench.supervisor.sweep_run import SweepRun
from asyncbench.sweep.config import OnPressure
from asyncbench.wire.messages import EngineOpened, OpenEngine, Progress, Refused, error_of


class EngineOpener:
    """Opener of the engines of one sweep, one at a time, whatever the bench process does.

    Args:
        on_progress: Takes what is said on the way.

    Attributes:
        is_opening: Whether an engine is being opened: there is nothing to drain then, and it may take minutes.
    """

    def __init__(
        self,
        run: SweepRun,
        *,
        recorder: SweepRecorder,
        publish: Subscriber,
        on_progress: Callable[[Progress], None],
        request: StopRequest,
    ) -> None:
        self.is_opening = False
        self._run = run
        self._recorder = recorder
        self._publish = publish
        self._on_progress = on_progress
        self._request = request
        self._opens = FailedOpens()
        self._were_open: set[int] = set()  # groups by their numbers
        self._too_large: set[int] = set()

    def is_too_large(self, group: EngineGroup) -> bool:
        """Return whether the engine of a group was refused memory; its turn comes after the others."""
        return group.number in self._too_large

    async def open_all_once(self, bench: BenchClient, groups: Sequence[EngineGroup]) -> bool:
        """Before anything is written open every engine once: all builds come first, and what is refused is known.

        Returns:
            False when the process is of no more use.

        Raises:
            AsyncbenchError: An engine was refused for another reason than memory.
        """
        for group in groups:
            if self.is_too_large(group):
                continue
            try:
                answer = await self._ask(bench, group)
            except BenchProcessDiedError as error:
                if self._request.stop.is_set():
                    return False
                if not is_out_of_memory(error):
                    raise
                self._too_large.add(group.number)
                return False
            if isinstance(answer, Refused):
                refusal = error_of(answer)
                if not isinstance(refusal, DoesNotFitError):
                    raise refusal
                self._too_large.add(group.number)
            else:
                self._note_open(group, answer)
        return True

    async def open(self, bench: BenchClient, group: EngineGroup) -> bool:
        """Open the engine of a group; False when it was refused, and its cells are recorded so.

        Raises:
            BenchProcessDiedError: The process died of it; see `take_death`.
        """
        answer = await self._ask(bench, group)
        self._opens.succeeded()
        if isinstance(answer, Refused):
            await self._refuse(group, error_of(answer))
            return False
        self._note_open(group, answer)
        self._recorder.note_device(group.device, answer.device)
        await self._recorder.write_header(answer)
        return True

    async def take_death(self, group: EngineGroup, error: BenchProcessDiedError) -> None:
        """After a process has died of an engine let another one try, or record what that costs."""
        verdict = self._opens.failed(was_open_before=group.number in self._were_open)
        if self._request.stop.is_set() or verdict is AfterFailedOpen.REFUSE:
            await self._refuse(group, error)
        elif verdict is AfterFailedOpen.CHARGE_A_CELL:
            index, cell = group.cells[0]
            await self._recorder.keep_lost(group, index, cell, error, interrupted=False)
        else:
            self._publish(Notice(text=f"{error.message}; opening the engine once more"))

    async def _ask(self, bench: BenchClient, group: EngineGroup) -> EngineOpened | Refused:
        self._publish(EngineOpening(cell=group.cells[0][1]))
        request = OpenEngine(
            sweep_id=self._run.sweep_id,
            config=group.config,
            precision=group.precision,
            device=group.device,
            flags=group.flags,
        )
        self.is_opening = True
        try:
            return await bench.ask(request, EngineOpened, on_progress=self._on_progress)
        finally:
            self.is_opening = False

    def _note_open(self, group: EngineGroup, opened: EngineOpened) -> None:
        self._were_open.add(group.number)
        cells = self._run.groups[group.number].cells
        check_same_engine((self._run.done[index] for index, _ in cells if index in self._run.done), opened.engine)

    async def _refuse(self, group: EngineGroup, error: AsyncbenchError) -> None:
        """Record every cell of a group that has no engine.

        Before the header was written the sweep ends instead, unless it was for memory: that is what the sweep was to
        find out, and others may fit. Its turn comes again when those are done.
        """
        if self._request.stop.is_set():
            return
        if not self._recorder.has_header:
            if not is_out_of_memory(error):
                raise error
            if self._others_may_fit(group):
                self._too_large.add(group.number)
                return
            await self._recorder.write_header(None)
        for index, cell in group.cells:
            if not (self._request.stop.is_set() or self._recorder.ended_by_pressure):
                await self._recorder.keep_lost(group, index, cell, error, interrupted=False)

    def _others_may_fit(self, group: EngineGroup) -> bool:
        others = {one.number for one in self._run.groups if one.device == group.device} - self._too_large
        return group.config.on_pressure is not OnPressure.FAIL and bool(others - {group.number})
