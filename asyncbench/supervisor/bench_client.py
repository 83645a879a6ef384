"""Client of a bench process: starts it, asks it, tells it to stop, and always reaps it."""

from __future__ import annotations

import json
import os
import subprocess
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import TypeAlias

import trio
from pydantic import ValidationError

from asyncbench.child_program import child_environment, last_stderr_line
from asyncbench.clock import NS_PER_S
from asyncbench.error_group import own_error_alone
from asyncbench.errors import BenchProcessDiedError, ExitCode, InternalError
from asyncbench.event_log import get_logger
from asyncbench.memory.host.oom import classify_death
from asyncbench.memory.host.probe import OomCount
from asyncbench.memory.host.process_limits import address_space_limit_text, cpu_time_limit_text, speaks_of_memory
from asyncbench.wire.line_stream import read_lines
from asyncbench.wire.messages import (
    EVENTS,
    AnswerT,
    CellProgress,
    EngineNotice,
    Event,
    Progress,
    Refused,
    Request,
    to_line,
)

# What a bench process may take to end by itself once its stdin is closed.
CLOSE_LIMIT_S = 5.0
_STDERR_LINES_KEPT = 20
_STDERR_LINE_BYTES = 1 << 20
# Numpy and scipy bring a BLAS each. We multiply no matrices: its threads would only count against the limits of threads
# and address space, and where the latter is met while they start it tries for ever.
_BLAS_THREADS = "OPENBLAS_NUM_THREADS"

# Silence is counted in steps that this process was awake for. One that was stopped together with the bench process
# would else wake up to a deadline that has passed, and kill what was silent for the same reason.
_SILENCE_STEPS = 10

ReadOom: TypeAlias = Callable[[], OomCount]
_log = get_logger()


class BenchClient:
    """One running bench process. One task asks; `send` may be called by another one."""

    def __init__(self, process: trio.Process, read_oom: ReadOom) -> None:
        if process.stdin is None or process.stdout is None:
            raise ValueError("the bench process needs pipes for stdin and stdout")
        self._process = process
        self._read_oom = read_oom
        self._oom_before = read_oom()
        self._stdin = process.stdin
        self._sending = trio.Lock()  # of two tasks that send at once a pipe refuses the second
        self._stdout = process.stdout
        self._lines = read_lines(process.stdout)
        self._stderr_tail: deque[str] = deque(maxlen=_STDERR_LINES_KEPT)
        self._stderr_ended = trio.Event()

    @property
    def pid(self) -> int:
        """The process id, for the log and for tests that kill it."""
        return self._process.pid

    def kill(self) -> None:
        """End the process at once."""
        self._process.kill()

    async def send(self, request: Request) -> None:
        """Send a request; a process that has died is noticed by `ask`."""
        try:
            async with self._sending:
                await self._stdin.send_all(to_line(request))
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            _log.debug("bench.send_failed", pid=self.pid)

    async def ask(
        self, request: Request, expected: type[AnswerT], *, on_progress: Callable[[Progress], None]
    ) -> AnswerT | Refused:
        """Send a request and return its answer; what is said on the way is handed to `on_progress`.

        Args:
            expected: The answer to this request, where it is not refused.

        Raises:
            BenchProcessDiedError: The process ended, or said something that is no answer to this.
        """
        self._oom_before = self._read_oom()
        await self.send(request)
        try:
            async for line in self._lines:
                event = self._parse(line)
                if isinstance(event, CellProgress | EngineNotice):
                    on_progress(event)
                elif isinstance(event, expected | Refused):
                    return event
                else:
                    self._process.kill()
                    answered = f"the bench process answered {type(request).__name__} with {type(event).__name__}"
                    raise BenchProcessDiedError(f"{answered} and was killed", remedy="please report it")
        except InternalError as error:
            self._process.kill()
            raise BenchProcessDiedError(
                f"the bench process was killed: {error.message}", remedy=error.remedy
            ) from error
        raise await self._death()

    async def read_stderr(self) -> None:
        """Hand the log lines of the process on, and keep what else it said for the error if it dies."""
        if self._process.stderr is not None:
            async with self._process.stderr:
                async for line in read_lines(self._process.stderr, limit_bytes=_STDERR_LINE_BYTES, cut=True):
                    text = line.decode(errors="replace")
                    if not _pass_on(text, self.pid):
                        self._stderr_tail.append(text)
        self._stderr_ended.set()

    async def close(self) -> None:
        """Close the pipe, give the process a moment to end by itself, kill it otherwise; always reaps."""
        await self._stdin.aclose()
        with trio.move_on_after(CLOSE_LIMIT_S):
            await self._process.wait()
        if self._process.returncode is None:
            _log.warning("bench.killed", pid=self.pid, reason=f"did not end within {CLOSE_LIMIT_S} s")
            self._process.kill()
        await self._process.wait()
        await self._lines.aclose()
        await self._stdout.aclose()

    def _parse(self, line: bytes) -> Event:
        try:
            return EVENTS.validate_json(line)
        except ValidationError as error:
            self._process.kill()
            raise BenchProcessDiedError(
                f"the bench process said something that is no event: {line[:200]!r}",
                remedy="something in it writes to the pipe that is ours: please report this",
            ) from error

    async def _death(self) -> BenchProcessDiedError:
        with trio.move_on_after(CLOSE_LIMIT_S):
            await self._process.wait()
        if self._process.returncode is None:
            self._process.kill()
            await self._process.wait()
        with trio.move_on_after(CLOSE_LIMIT_S):
            await self._stderr_ended.wait()
        death = classify_death(
            self._process.returncode or 0,
            before=self._oom_before,
            after=self._read_oom(),
            cpu_time_limit=cpu_time_limit_text(),
        )
        words = last_stderr_line(list(self._stderr_tail))
        said = f"; its last line on stderr: {words[:300]}" if words else ""
        limit = address_space_limit_text() if speaks_of_memory(words) else None
        error = BenchProcessDiedError(
            f"the bench process died: {death.sentence}{said}{f' ({limit})' if limit else ''}",
            remedy="raise that limit" if limit else "",
            death=str(death.kind),
        )
        if limit is not None:
            error.exit_code = ExitCode.BAD_INPUT
        error.facts |= death.facts
        error.memory_suspected = death.memory_suspected or speaks_of_memory(words)
        return error


@asynccontextmanager
async def open_bench(command: Sequence[str], read_oom: ReadOom) -> AsyncIterator[BenchClient]:
    """Start a bench process in a session of its own, so that Ctrl-C reaches it only through the supervisor.

    Args:
        read_oom: Counts what the kernel's out-of-memory killer has ended so far.
    """
    process = await trio.lowlevel.open_process(
        list(command),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
        env=child_environment(**{_BLAS_THREADS: os.environ.get(_BLAS_THREADS, "1")}),
    )
    bench = BenchClient(process, read_oom)
    _log.info("bench.started", pid=bench.pid)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(bench.read_stderr)
        try:
            yield bench
        finally:
            # Twice: a moment to end by itself, and one for the kernel to end it.
            with trio.move_on_after(2 * CLOSE_LIMIT_S, shield=True):
                await bench.close()
            # What is left in the pipe is read at once; a grandchild that holds it open is not waited for.
            nursery.cancel_scope.deadline = trio.current_time() + CLOSE_LIMIT_S


async def ask_with_watchdog(
    bench: BenchClient,
    request: Request,
    expected: type[AnswerT],
    *,
    limit_ns: int,
    on_progress: Callable[[Progress], None],
) -> AnswerT | Refused:
    """Ask, and kill the process when neither progress nor an answer has come for `limit_ns`.

    Raises:
        BenchProcessDiedError: See `BenchClient.ask`; or it was killed.
    """
    limit_s = limit_ns / NS_PER_S
    silent_steps = 0
    answers: list[AnswerT | Refused] = []

    def wind_up(progress: Progress) -> None:
        nonlocal silent_steps
        silent_steps = 0
        on_progress(progress)

    with own_error_alone():
        async with trio.open_nursery() as nursery:

            async def kill_when_silent() -> None:
                nonlocal silent_steps
                while silent_steps < _SILENCE_STEPS:
                    await trio.sleep(limit_s / _SILENCE_STEPS)
                    silent_steps += 1
                nursery.cancel_scope.cancel()

            nursery.start_soon(kill_when_silent)
            answers.append(await bench.ask(request, expected, on_progress=wind_up))
            nursery.cancel_scope.cancel()
    if answers:
        return answers[0]
    bench.kill()
    raise BenchProcessDiedError(f"the bench process was silent for {limit_s:.0f} s and was killed")


def _pass_on(text: str, pid: int) -> bool:
    """Log an event of the process, or a line of any other kind; return whether it was an event."""
    try:
        fields = json.loads(text)
        level, event = fields.pop("level", "info"), fields.pop("event")
    except (ValueError, KeyError, AttributeError, TypeError):
        _log.debug("bench.stderr", text=text, pid=pid)
        return False
    getattr(_log, level if level in {"debug", "info", "warning", "error"} else "info")(event, pid=pid, **fields)
    return True
