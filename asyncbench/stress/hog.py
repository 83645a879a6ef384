"""`hog`: a process beside the sweep takes all of the group's memory but 100 MiB and lets go, five times in one cell."""

from __future__ import annotations

import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from asyncbench.child_program import child_command
from asyncbench.errors import BackendUnavailableError
from asyncbench.memory.host.limited_group import LimitedGroup
from asyncbench.stress.context import ScenarioContext
from asyncbench.stress.group import open_group
from asyncbench.stress.hogged_cell import HoggedCell, Pace, run_rounds
from asyncbench.stress.sweep_child import Child, open_child

GROUP_BYTES = 1536 << 20
FULL = Pace(cycles=5, hold_s=3.0, rest_s=7.5, rounds=3)
QUICK = Pace(cycles=1, hold_s=2.0, rest_s=6.0, rounds=1, judged=False)
_CELL = ("mobilenet", "--backend", "onnxruntime", "--batch", "1", "--memory-reserve", "256MiB")


async def run(context: ScenarioContext) -> None:
    """Measure one long cell without and with a hog in its memory control group."""
    cell = HoggedCell(arguments=_CELL, concurrency=4, open_hog=open_group_hog)
    await run_rounds(context, cell, QUICK if context.quick else FULL)


class GroupHog:
    """A process that holds memory in a control group; see Hog."""

    def __init__(self, child: Child, group: LimitedGroup) -> None:
        self.group: LimitedGroup | None = group
        self._process = child.process
        self._read = group.read

    async def grab(self, *, left_bytes: int) -> int:
        """Hold all that the group may still take but so much; see Hog.grab."""
        await self._hold(self._free_bytes() - left_bytes)
        return self._free_bytes()

    async def let_go(self) -> None:
        """Hold nothing; see Hog.let_go."""
        await self._hold(0)

    def _free_bytes(self) -> int:
        reading = self._read()
        return reading.headroom_bytes if reading else 0

    async def _hold(self, size_bytes: int) -> None:
        if self._process.stdin is None or self._process.stdout is None:
            raise ValueError("the hog needs pipes")
        await self._process.stdin.send_all(f"{size_bytes}\n".encode())
        if not await self._process.stdout.receive_some():
            raise BackendUnavailableError("the hog was killed in place of the bench process")


@asynccontextmanager
async def open_group_hog(context: ScenarioContext) -> AsyncIterator[GroupHog]:
    """Make a group with a hog in it.

    Raises:
        BackendUnavailableError: Groups cannot be made here.
    """
    command = child_command("asyncbench.stress.hog_child")
    errors = context.folder / "hog.stderr"
    pipe = subprocess.PIPE
    async with (
        open_group(GROUP_BYTES) as group,
        open_child(command, errors=errors, group=group, stdin=pipe, stdout=pipe) as child,
    ):
        yield GroupHog(child, group)
