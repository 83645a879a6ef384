"""The cache over files that stand for engines: any bytes will do, so no TensorRT is needed here."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from asyncbench.backends.tensorrt.cache import (
    BuildFacts,
    EngineFolder,
    EngineIdentity,
    StoredEngine,
    explain_difference,
    obtain_engine,
)
from asyncbench.backends.tensorrt.cache.obtain import reject_engine
from asyncbench.backends.tensorrt.cache.sidecar import BuildTry, decode_sidecar
from asyncbench.errors import EngineBuildError, OutputError

IDENTITY = EngineIdentity(
    model_sha256="ab" * 32,
    precision="fp16",
    profiles=((1, 1, 1), (2, 8, 8)),
    static_shapes=False,
    flags=("workspace_bytes=1",),
    calibration_sha256=None,
    flavour="tensorrt",
    flavour_version="8.6.0",
    gpu_name="NVIDIA H200",
    compute_capability="9.0",
    driver_major=570,
    cuda_major=12,
    recipe=1,
)
PLAN = bytes(range(256)) * 40


@pytest.fixture
def folder(tmp_path: Path) -> EngineFolder:
    return EngineFolder(root=tmp_path / "engines")


class Asker:
    """Asks for the engine, and remembers what was built and said."""

    def __init__(self, folder: EngineFolder) -> None:
        self.folder = folder
        self.builds = 0
        self.said: list[str] = []

    async def build(self, path: Path) -> BuildFacts:
        self.builds += 1
        write(path, PLAN)
        await trio.lowlevel.checkpoint()
        return BuildFacts(build_ns=7, warnings=("slow",))

    async def ask(self, identity: EngineIdentity = IDENTITY, check_head=lambda _head: None) -> StoredEngine:
        return await obtain_engine(
            self.folder, identity, label="net fp16", build=self.build, report=self.said.append, check_head=check_head
        )


def write(path: Path, data: bytes) -> None:
    path.write_bytes(data)


def files(folder: EngineFolder) -> set[str]:
    return {path.name for path in folder.root.iterdir()} - {"quarantine"}


async def test_an_engine_is_built_once_and_found_afterwards(folder):
    asker = Asker(folder)

    first, second = await asker.ask(), await asker.ask()

    assert (first.freshly_built, second.freshly_built, asker.builds) == (True, False, 1)
    assert second.path.read_bytes() == PLAN
    assert second.sidecar == first.sidecar


async def test_the_sidecar_says_all_of_the_identity_and_what_the_bytes_must_be(folder):
    engine = await Asker(folder).ask()

    written = json.loads(folder.sidecar_path(IDENTITY.key()).read_text())

    assert (
        EngineIdentity(**written["identity"] | {"profiles": ((1, 1, 1), (2, 8, 8)), "flags": ("workspace_bytes=1",)})
        == IDENTITY
    )
    assert written["engine_bytes"] == len(PLAN)
    assert written["key"] == engine.path.stem
    assert written["build"] == {
        "build_ns": 7,
        "warnings": ["slow"],
        "workspace_bytes": None,
        "peak_device_bytes": None,
        "tries": [],
    }


def test_two_engines_that_differ_in_anything_have_different_keys():
    changed = {
        "profiles": ((1, 1, 1),),
        "static_shapes": True,
        "flags": (),
        "driver_major": 1,
        "cuda_major": 1,
        "recipe": 2,
    }
    others = [
        dataclasses.replace(IDENTITY, **{field.name: changed.get(field.name, "other")})
        for field in dataclasses.fields(IDENTITY)
    ]

    keys = {one.key() for one in [IDENTITY, *others]}

    assert len(keys) == len(others) + 1


def _truncate(folder: EngineFolder) -> str:
    os.truncate(folder.engine_path(IDENTITY.key()), 100)
    return f"it has 100 of {len(PLAN)} bytes"


def _flip_a_bit(folder: EngineFolder) -> str:
    path = folder.engine_path(IDENTITY.key())
    data = bytearray(path.read_bytes())
    data[5000] ^= 4
    path.write_bytes(data)
    return "its checksum differs"


def _remove_the_engine(folder: EngineFolder) -> str:
    folder.engine_path(IDENTITY.key()).unlink()
    return "its file is missing"


def _tear_the_sidecar(folder: EngineFolder) -> str:
    os.truncate(folder.sidecar_path(IDENTITY.key()), 40)
    return "its record is not readable"


def _swap_in_another_record(folder: EngineFolder) -> str:
    path = folder.sidecar_path(IDENTITY.key())
    path.write_text(path.read_text().replace("8.6.0", "8.5.3"))
    return "its record is that of another engine"


@pytest.mark.parametrize(
    "damage", [_truncate, _flip_a_bit, _remove_the_engine, _tear_the_sidecar, _swap_in_another_record]
)
async def test_a_damaged_engine_is_put_into_quarantine_with_the_reason_and_rebuilt(folder, damage):
    asker = Asker(folder)
    await asker.ask()
    reason = damage(folder)

    engine = await asker.ask()

    assert engine.path.read_bytes() == PLAN
    assert engine.freshly_built
    assert asker.said[-1] == f"net fp16: building an engine (the stored one was put into quarantine: {reason})"
    assert reason in (folder.quarantine() / f"{IDENTITY.key()}.reason").read_text()


async def test_an_engine_whose_head_the_runtime_does_not_know_is_rebuilt(folder):
    asker = Asker(folder)
    await asker.ask()

    engine = await asker.ask(check_head=lambda head: None if asker.builds == 2 else f"foreign {head[:2].hex()}")

    assert "foreign 0001" in engine.replaced


async def test_an_engine_that_the_runtime_refused_is_built_anew(folder):
    asker = Asker(folder)
    engine = await asker.ask()

    await reject_engine(folder, engine, "deserialization failed")
    again = await asker.ask()

    assert again.freshly_built
    assert "deserialization failed" in (folder.quarantine() / f"{IDENTITY.key()}.reason").read_text()


async def test_a_stale_engine_of_another_version_is_left_alone_and_named(folder):
    asker = Asker(folder)
    await asker.ask(dataclasses.replace(IDENTITY, flavour_version="8.5.3"))

    await asker.ask()

    assert asker.said[-1] == ("net fp16: building an engine (the stored one has flavour_version 8.5.3, this is 8.6.0)")
    assert asker.builds == 2


@given(st.lists(st.sampled_from(["8.6.0", "10.3.0", "11.4.0"]), max_size=4), st.integers(0, 600))
def test_the_explanation_names_exactly_what_differs(versions, driver_major):
    stored = [dataclasses.replace(IDENTITY, flavour_version=one, driver_major=driver_major) for one in versions]

    text = explain_difference(IDENTITY, stored)

    expects_version = bool(stored) and "8.6.0" not in versions
    assert ("flavour_version" in text) == expects_version
    assert ("driver_major" in text) == (bool(stored) and driver_major != 570)


async def test_tasks_that_ask_at_once_get_one_build(folder):
    asker = Asker(folder)
    build = asker.build

    def waiting() -> int:
        return sum("another process is building it; waiting" in line for line in asker.said)

    async def build_once_all_others_wait(path: Path) -> BuildFacts:
        with trio.fail_after(60):
            while waiting() < 3:  # noqa: ASYNC110 # what is said comes from threads
                await trio.sleep(0.001)
        return await build(path)

    asker.build = build_once_all_others_wait
    async with trio.open_nursery() as nursery:
        for _ in range(4):
            nursery.start_soon(asker.ask)

    assert asker.builds == 1


async def test_builds_of_different_engines_take_turns(folder):
    running, most = 0, 0

    async def build(path: Path) -> BuildFacts:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await trio.sleep(0.01)
        write(path, PLAN)
        running -= 1
        return BuildFacts(build_ns=1)

    async with trio.open_nursery() as nursery:
        for recipe in range(3):
            identity = dataclasses.replace(IDENTITY, recipe=recipe)
            nursery.start_soon(
                lambda one=identity: obtain_engine(folder, one, label="", build=build, report=lambda _: None)
            )

    assert most == 1
    assert len(list(folder.root.glob("*.engine"))) == 3


async def test_a_cancelled_build_leaves_nothing_and_frees_the_lock(folder):
    started = trio.Event()

    async def build_forever(path: Path) -> BuildFacts:
        write(path, b"half")
        started.set()
        await trio.sleep_forever()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(
            lambda: obtain_engine(folder, IDENTITY, label="", build=build_forever, report=lambda _: None)
        )
        await started.wait()
        nursery.cancel_scope.cancel()

    assert files(folder) == {f"{IDENTITY.key()}.lock", "builder.lock"}
    assert (await Asker(folder).ask()).freshly_built


async def test_a_failed_build_leaves_nothing_and_its_error_is_the_callers(folder):
    async def fail(path: Path) -> BuildFacts:
        write(path, b"half")
        raise EngineBuildError("no")

    with pytest.raises(EngineBuildError, match="no"):
        await obtain_engine(folder, IDENTITY, label="", build=fail, report=lambda _: None)

    assert files(folder) == {f"{IDENTITY.key()}.lock", "builder.lock"}


async def test_a_builder_that_wrote_nothing_is_an_error(folder):
    async def lie(_path: Path) -> BuildFacts:
        return BuildFacts(build_ns=1)

    with pytest.raises(EngineBuildError, match="left no engine"):
        await obtain_engine(folder, IDENTITY, label="net", build=lie, report=lambda _: None)


async def test_what_a_killed_builder_left_behind_is_removed_by_the_next(folder):
    folder.create()
    leftover = folder.root / f"{IDENTITY.key()}.99999.tmp"
    leftover.write_bytes(b"half")
    folder.engine_path(IDENTITY.key()).write_bytes(b"renamed, but its sidecar was never written")

    engine = await Asker(folder).ask()

    assert engine.freshly_built
    assert not leftover.exists()


async def test_a_folder_that_cannot_be_written_is_named_with_a_remedy(tmp_path):
    (tmp_path / "file").write_text("")

    with pytest.raises(OutputError, match="ASYNCBENCH_CACHE"):
        await Asker(EngineFolder(root=tmp_path / "file" / "engines")).ask()


BUILDER = """
import sys, trio
from pathlib import Path
from asyncbench.backends.tensorrt.cache import BuildFacts, EngineFolder, EngineIdentity, obtain_engine

async def build(path):
    print("BUILDS", flush=True)
    sys.stdin.readline()  # build until the test says so
    path.write_bytes(b"engine")
    return BuildFacts(build_ns=1)

async def main():
    folder = EngineFolder(root=Path(sys.argv[1]))
    say = lambda line: print(line, flush=True)
    engine = await obtain_engine(folder, IDENTITY, label="x", build=build, report=say)
    print("FRESH" if engine.freshly_built else "FOUND", flush=True)

trio.run(main)
""".replace("IDENTITY", repr(IDENTITY))


def start_builder(root: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", BUILDER, str(root)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


def lines_until(process: subprocess.Popen[str], wanted: str) -> None:
    for line in process.stdout:
        if wanted in line:
            return
    raise AssertionError(f"the process ended without saying {wanted!r}")


@pytest.mark.slow
def test_two_processes_that_want_one_engine_make_one_build(tmp_path):
    with start_builder(tmp_path) as first:
        lines_until(first, "BUILDS")
        with start_builder(tmp_path) as second:
            lines_until(second, "another process is building it")

            first.communicate("go\n")

            assert second.communicate()[0].strip() == "FOUND"


@pytest.mark.slow
def test_a_waiter_builds_when_the_builder_is_killed(tmp_path):
    with start_builder(tmp_path) as first:
        lines_until(first, "BUILDS")
        with start_builder(tmp_path) as second:
            lines_until(second, "another process is building it")

            first.send_signal(signal.SIGKILL)

            lines_until(second, "BUILDS")
            assert second.communicate("go\n")[0].strip() == "FRESH"
    assert not list(tmp_path.glob("*.tmp"))


def test_a_sidecar_from_a_newer_schema_is_not_read():
    assert decode_sidecar(b'{"schema_version": 2}') is None


async def test_the_sidecar_keeps_the_tries_of_a_build(folder):
    tries = (
        BuildTry(workspace_bytes=2, outcome="killed", took_ns=5),
        BuildTry(workspace_bytes=1, outcome="built", took_ns=7),
    )
    facts = BuildFacts(build_ns=7, workspace_bytes=1, peak_device_bytes=3, tries=tries)

    async def build(path: Path) -> BuildFacts:
        await trio.Path(path).write_bytes(PLAN)
        return facts

    await obtain_engine(folder, IDENTITY, label="net", build=build, report=lambda _: None)

    stored = decode_sidecar(folder.sidecar_path(IDENTITY.key()).read_bytes())
    assert stored.build == facts


async def test_a_sidecar_from_before_tries_were_kept_is_still_read(folder):
    async def build(path: Path) -> BuildFacts:
        await trio.Path(path).write_bytes(PLAN)
        return BuildFacts(build_ns=7)

    await obtain_engine(folder, IDENTITY, label="net", build=build, report=lambda _: None)
    written = json.loads(folder.sidecar_path(IDENTITY.key()).read_text())
    for later in ("workspace_bytes", "peak_device_bytes", "tries"):
        del written["build"][later]

    assert decode_sidecar(json.dumps(written).encode()).build == BuildFacts(build_ns=7)
