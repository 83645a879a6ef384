"""A process that holds memory of the GPU."""

from __future__ import annotations

import json
import subprocess
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass

import trio

from asyncbench.child_program import child_command
from asyncbench.errors import BackendUnavailableError
from asyncbench.memory.host.limited_group import LimitedGroup
from asyncbench.stress.context import ScenarioContext
from asyncbench.stress.sweep_child import Child, open_child
from asyncbench.wire.line_stream import read_lines


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceReading:
    """The GPU's memory as the hog sees it."""

    free_bytes: int
    total_bytes: int


class DeviceHog:
    """Holder of as much of the first GPU's memory as it is told; see Hog.

    Attributes:
        total_bytes: All the memory of the GPU.
    """

    def __init__(self, child: Child, stdin: trio.abc.SendStream, answers: AsyncIterator[bytes]) -> None:
        self.group: LimitedGroup | None = None
        self.total_bytes = 0
        self._child = child
        self._stdin = stdin
        self._answers = answers

    async def open(self) -> None:
        """Wait until it has the GPU.

        Raises:
            BackendUnavailableError: It has none.
        """
        self.total_bytes = (await self._answer()).total_bytes

    async def grab(self, *, left_bytes: int) -> int:
        """Hold all that is free but so much; see Hog.grab."""
        return await self._obey(str(left_bytes))

    async def let_go(self) -> None:
        """Hold nothing; see Hog.let_go."""
        await self._obey("")

    async def _obey(self, order: str) -> int:
        await self._stdin.send_all(f"{order}\n".encode())
        return (await self._answer()).free_bytes

    async def _answer(self) -> DeviceReading:
        async for line in self._answers:
            return DeviceReading(**json.loads(line))
        await self._child.process.wait()
        raise BackendUnavailableError(f"the GPU's memory cannot be held: {self._child.stderr().strip()}")


@asynccontextmanager
async def open_device_hog(context: ScenarioContext) -> AsyncIterator[DeviceHog]:
    """Start a process on the GPU that holds nothing yet.

    Raises:
        BackendUnavailableError: It cannot.
    """
    command = child_command("asyncbench.stress.device_hog_child")
    pipe = subprocess.PIPE
    async with open_child(command, errors=context.folder / "hog.stderr", stdin=pipe, stdout=pipe) as child:
        if child.process.stdin is None or child.process.stdout is None:
            raise ValueError("the hog needs pipes")
        async with aclosing(read_lines(child.process.stdout)) as answers:
            hog = DeviceHog(child, child.process.stdin, answers)
            await hog.open()
            yield hog
