"""`disk`: the file system of the results fills up, or a limit on file sizes is met, in the middle of a sweep."""

from __future__ import annotations

import subprocess

import trio

from asyncbench.errors import ExitCode
from asyncbench.stress.context import ScenarioContext
from asyncbench.stress.file_state import FileState, read_state
from asyncbench.stress.simulated_sweep import CELLS, COMPLETES, SweepFile, check_complete
from asyncbench.stress.sweep_child import open_child, sweep_command

STOPS = "a full disk ends the sweep with exit code 2 and one line that says how to go on"
WHOLE = "what was written before is whole"
_LIMIT_S = 120.0
_TIMES, _QUICK_TIMES = 10, 1
# Sweep until it is full; keep what is there; make room; go on. All in a mount that nobody else sees, and that is gone
# with the last process in it.
_FULL_DISK = """
disk=$1; out=$2; room=$3; shift 3
mount -t tmpfs -o size=1m none "$disk" || exit 99
head -c $((1048576 - room)) /dev/zero > "$disk/ballast"
"$@" --output "$disk/results.jsonl" 2> "$out/full.stderr"; echo $? > "$out/full.code"
cp "$disk/results.jsonl" "$out/full.jsonl"
rm "$disk/ballast"
"$@" --output "$disk/results.jsonl" --resume 2> "$out/resumed.stderr"; echo $? > "$out/resumed.code"
cp "$disk/results.jsonl" "$out/resumed.jsonl"
"""
_PRIVATE_MOUNT = ("unshare", "--map-root-user", "--mount", "sh", "-c")
_FILE_LIMIT = ("prlimit", "--fsize={limit}:{limit}")


async def run(context: ScenarioContext) -> None:
    """Fill a disk, and meet a limit on file sizes, at random sizes."""
    rng = context.random()
    times = _QUICK_TIMES if context.quick else _TIMES
    mounts = await _may_mount(context)
    for number in range(times):
        await _meet_file_limit(context, rng.randrange(6_000, 40_000), f"file size limit {number}")
        if mounts:
            await _fill_disk(context, rng.randrange(16_384, 45_056), f"full disk {number}")
    what = f"{times} limits on file sizes" + (f", {times} full disks (tmpfs)" if mounts else "; mounts are not allowed")
    for promise in (STOPS, WHOLE, COMPLETES):
        context.conclude(promise, what)


async def _may_mount(context: ScenarioContext) -> bool:
    probe = [*_PRIVATE_MOUNT, 'mount -t tmpfs none "$0"', str(context.folder)]
    done = await trio.run_process(probe, check=False, capture_stderr=True)
    if done.returncode:
        context.skip(STOPS, f"no private mounts here: {done.stderr.decode(errors='replace').strip()}")
    return done.returncode == 0


async def _meet_file_limit(context: ScenarioContext, limit_bytes: int, step: str) -> None:
    file = SweepFile.make(context.folder, step.replace(" ", "-"))
    prefix = [part.format(limit=limit_bytes) for part in _FILE_LIMIT]
    # Without a log, which would meet the limit too.
    command = [*prefix, *sweep_command(file.path, *file.arguments)]
    # Python keeps what such a limit cuts off of a module's bytecode, and takes it for whole the next time.
    async with open_child(command, errors=file.errors, PYTHONDONTWRITEBYTECODE="1") as child:
        ended = await child.wait(_LIMIT_S)
    full = await trio.to_thread.run_sync(read_state, file.path)
    _check_stop(context, step, code=ended.code, stderr=ended.stderr, full=full)
    async with open_child(sweep_command(file.path, *file.arguments, resume=True), errors=file.errors) as child:
        ended = await child.wait(_LIMIT_S)
    resumed = await trio.to_thread.run_sync(read_state, file.path)
    check_complete(context, resumed, f"{step}, exit code {ended.code}")
    _check_prefix(context, step, full, resumed)


async def _fill_disk(context: ScenarioContext, room_bytes: int, step: str) -> None:
    folder = context.folder / step.replace(" ", "-")
    disk = folder / "disk"
    await trio.Path(disk).mkdir(parents=True)
    file = SweepFile.make(folder, "sweep")
    command = sweep_command(file.path, *file.arguments)[: -len(("--output", "path"))]
    script = [*_PRIVATE_MOUNT, _FULL_DISK, "sh", str(disk), str(folder), str(room_bytes), *command]
    async with open_child(script, errors=folder / "script.stderr", stdout=subprocess.DEVNULL) as child:
        await child.wait(2 * _LIMIT_S)

    def read(name: str) -> str:
        return (folder / name).read_text(encoding="utf-8") if (folder / name).exists() else ""

    full = await trio.to_thread.run_sync(read_state, folder / "full.jsonl")
    _check_stop(context, step, code=int(read("full.code") or -1), stderr=read("full.stderr"), full=full)
    resumed = await trio.to_thread.run_sync(read_state, folder / "resumed.jsonl")
    check_complete(context, resumed, f"{step}, exit code {read('resumed.code').strip()}")
    _check_prefix(context, step, full, resumed)


def _check_stop(context: ScenarioContext, step: str, *, code: int | None, stderr: str, full: FileState) -> None:
    last = stderr.strip().rpartition("\n")[2]
    errors = [line for line in stderr.splitlines() if line.startswith(("asyncbench:", "Traceback"))]
    held = (
        code == ExitCode.BAD_INPUT
        and len(errors) == 1
        and last == errors[0]
        and "--resume" in last
        and len(full.final) < CELLS
    )
    context.check(STOPS, step, held=held, code=code, line=last, written=len(full.final))


def _check_prefix(context: ScenarioContext, step: str, full: FileState, resumed: FileState) -> None:
    whole = full.read is not None and full.read.torn_bytes == 0 and resumed.whole.startswith(full.whole)
    context.check(WHOLE, step, held=whole, complaint=full.complaint, bytes=len(full.whole))
