"""`build`: a TensorRT-RTX engine is built in a group that is too small for its builder."""

from __future__ import annotations

import json
import subprocess
from importlib.util import find_spec
from pathlib import Path

import trio

from asyncbench.child_program import child_command, child_environment
from asyncbench.errors import AsyncbenchError, BackendUnavailableError, Fact
from asyncbench.memory.host.limited_group import LimitedGroup
from asyncbench.stress.context import ScenarioContext
from asyncbench.stress.group import open_group
from asyncbench.stress.sweep_child import Child, open_child
from asyncbench.wire.line_stream import read_lines

EXPLAINS = "a build without room is killed alone, and its end explains why"
SUCCEEDS = "a build that was killed succeeds on a later try, once there is room"
TIGHT_BYTES = 90 << 20
WIDE_BYTES = 4 << 30
FIRST_WORKSPACE_BYTES = 64 << 20
_MODULE = "tensorrt_rtx_bindings"
_LIMIT_S = 240.0
_KILLER = "the kernel's out-of-memory killer ended it"


async def run(context: ScenarioContext) -> None:
    """Build without room until the tries end; then again, with room from the second try on."""
    if find_spec(_MODULE) is None:
        raise BackendUnavailableError(f"{_MODULE} is not installed (extra rtx)")
    network = await _write_network(context)
    refused = await _build(context, network, room_after=None)
    text, tries = str(refused["text"]), refused["tries"]
    explained = refused["end"] == "refused" and _KILLER in text
    context.check(EXPLAINS, "no room", held=explained, tries=tries, oom_kills=refused["oom_kills"], text=text)
    context.conclude(EXPLAINS, f"{tries} tries in {TIGHT_BYTES >> 20} MiB; it said: {text}")
    built = await _build(context, network, room_after=1)
    held = built["end"] == "built" and (context.folder / "engine").stat().st_size > 0
    context.check(SUCCEEDS, "room after the first try", held=held, tries=built["tries"], oom_kills=built["oom_kills"])
    context.conclude(SUCCEEDS, f"built on try {built['tries']}, {built['oom_kills']} killed before")


async def _write_network(context: ScenarioContext) -> Path:
    command = child_command("asyncbench.stress.network_child", str(context.folder))
    done = await trio.run_process(command, capture_stdout=True, env=child_environment())
    return Path(done.stdout.decode().strip())


async def _build(context: ScenarioContext, network: Path, *, room_after: int | None) -> dict[str, Fact]:
    """Build in a tight group, which becomes wide after so many failed tries; return how it ended.

    Raises:
        AsyncbenchError: It did not end in time.
    """
    arguments = (str(network), str(context.folder / "engine"), str(FIRST_WORKSPACE_BYTES))
    command = child_command("asyncbench.stress.build_child", *arguments)
    errors, pipe = context.folder / "build.stderr", subprocess.PIPE
    async with (
        open_group(TIGHT_BYTES) as group,
        open_child(command, errors=errors, group=group, stdin=pipe, stdout=pipe) as child,
    ):
        with trio.move_on_after(_LIMIT_S):
            end = await _follow(child, group, room_after)
            return {**end, "oom_kills": group.read_oom().oom_kills}
        raise AsyncbenchError(f"the build did not end within {_LIMIT_S:.0f} s: {child.stderr()}")


async def _follow(child: Child, group: LimitedGroup, room_after: int | None) -> dict[str, Fact]:
    """Let it try again and again; return its last word."""
    stdin, stdout = child.process.stdin, child.process.stdout
    if stdin is None or stdout is None:
        raise ValueError("the build child needs pipes")
    failed = 0
    async for line in read_lines(stdout):
        event: dict[str, Fact] = json.loads(line)
        if event["end"]:
            return event
        failed += 1
        if failed == room_after:
            await trio.to_thread.run_sync(group.set_limit, WIDE_BYTES)
        await stdin.send_all(b"\n")
    await child.process.wait()
    return {"end": "died", "text": child.stderr(), "tries": failed}
