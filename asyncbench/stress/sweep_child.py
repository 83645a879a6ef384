"""A real `asyncbench sweep` as a child process: started, watched, hurt, and always gone at the end."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from uuid import uuid4

import trio

from asyncbench.child_program import child_command, child_environment
from asyncbench.clock import NS_PER_S, now_ns
from asyncbench.memory.host.limited_group import LimitedGroup
from asyncbench.stress.descendants import TOKEN_NAME, kill_all
from asyncbench.stress.file_state import cells_begun, logged_events

_STDERR_CHARS: Final = 2000
_LOOK_S: Final = 0.05
_END_LIMIT_S: Final = 10.0  # guess: a killed process needs this long to give gigabytes back


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """The end of a child process.

    Attributes:
        code: As subprocess gives it; None where it did not end within its limit.
        stderr: The last of its stderr.
    """

    code: int | None
    stderr: str
    took_s: float


class Child:
    """A process with a token that all its descendants carry."""

    def __init__(self, process: trio.Process, *, token: str, errors: Path) -> None:
        self.token = token
        self.process = process
        self._errors = errors
        self._started_at_ns = now_ns()

    def ended(self) -> bool:
        """Return whether it has."""
        return self.process.poll() is not None

    def send_signal(self, number: signal.Signals) -> None:
        """Send a signal, unless it has ended."""
        with suppress(ProcessLookupError):
            self.process.send_signal(number)

    async def wait(self, limit_s: float) -> Ended:
        """Wait for its end, at most so long."""
        with trio.move_on_after(limit_s):
            await self.process.wait()
        took_s = (now_ns() - self._started_at_ns) / NS_PER_S
        return Ended(code=self.process.returncode, stderr=self.stderr(), took_s=took_s)

    async def wait_for_cell(self, log: Path) -> None:
        """Wait until its log says that a cell was begun, or it has ended."""
        while not self.ended() and not cells_begun(await trio.to_thread.run_sync(logged_events, log)):
            await self.wait(_LOOK_S)

    def stderr(self) -> str:
        """Return the end of what it has written on stderr so far."""
        return self._errors.read_text(encoding="utf-8", errors="replace")[-_STDERR_CHARS:]


@asynccontextmanager
async def open_child(
    command: Sequence[str],
    *,
    errors: Path,
    group: LimitedGroup | None = None,
    stdin: int = subprocess.DEVNULL,
    stdout: int = subprocess.DEVNULL,
    **environment: str,
) -> AsyncIterator[Child]:
    """Start a program; at the end it and all that it started are killed and reaped.

    Args:
        errors: Where its stderr goes.
        group: The memory control group to start it in.
        environment: Beside our own.
    """
    token = uuid4().hex
    with errors.open("wb") as file:
        process = await trio.lowlevel.open_process(
            list(command) if group is None else group.wrap(command),
            stdin=stdin,
            stdout=stdout,
            stderr=file,
            env=child_environment(**{TOKEN_NAME: token, **environment}),
            start_new_session=True,
        )
    try:
        yield Child(process, token=token, errors=errors)
    finally:
        with trio.CancelScope(shield=True):
            await _end(process, token)


async def _end(process: trio.Process, token: str) -> None:
    if process.poll() is None:
        process.kill()
    await process.wait()
    with trio.move_on_after(_END_LIMIT_S):
        await kill_all(token)
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            await trio.aclose_forcefully(pipe)


def sweep_command(output: Path, *arguments: str, resume: bool = False) -> list[str]:
    """Return the command of a sweep that logs beside its output."""
    more = ["--resume"] if resume else []
    return [*child_command("asyncbench"), "sweep", *arguments, "--output", str(output), *more]


async def run_sweep(output: Path, *arguments: str, limit_s: float, group: LimitedGroup | None = None) -> Ended:
    """Run a sweep to its end; one that takes longer than its limit is killed, with code None."""
    command = sweep_command(output, *arguments)
    async with open_child(command, errors=output.with_suffix(".stderr"), group=group) as child:
        return await child.wait(limit_s)
