"""Search for the processes that a sweep has started, also those that have outlived it."""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from pathlib import Path

import trio

from asyncbench.clock import NS_PER_S, now_ns

# Inherited by everything that a sweep starts, whoever its parent is by then.
TOKEN_NAME = "ASYNCBENCH_STRESS_TOKEN"  # noqa: S105 # a mark, no secret
_LOOK_S = 0.02


def processes_with(token: str) -> dict[int, str]:
    """Return the command lines of all live processes that carry a token, by pid. Zombies have none any more."""
    wanted = f"{TOKEN_NAME}={token}".encode()
    found: dict[int, str] = {}
    for folder in Path("/proc").iterdir():
        # Others' processes may not be read, and one may end while it is looked at.
        with suppress(OSError):
            if folder.name.isdigit() and wanted in (folder / "environ").read_bytes().split(b"\0"):
                found[int(folder.name)] = (
                    (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                )
    return found


async def find_processes(token: str) -> dict[int, str]:
    """Return what `processes_with` does, read on a thread."""
    return await trio.to_thread.run_sync(processes_with, token)


async def find_bench(token: str) -> int | None:
    """Return the pid of the bench process, or None while there is none."""
    found = await find_processes(token)
    return next((pid for pid, command in found.items() if "asyncbench.bench.main" in command), None)


async def kill_all(token: str) -> None:
    """Kill all processes with a token, what they start meanwhile included; returns when none is left."""
    while found := await find_processes(token):
        for pid in found:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        await trio.sleep(_LOOK_S)


async def wait_none_left(token: str, *, limit_s: float) -> float | None:
    """Wait until no process carries the token; return after how many seconds, or None where the limit came first."""
    started_at_ns = now_ns()
    with trio.move_on_after(limit_s):
        while await find_processes(token):  # noqa: ASYNC110 # other processes set no trio.Event
            await trio.sleep(_LOOK_S)
        return (now_ns() - started_at_ns) / NS_PER_S
    return None
