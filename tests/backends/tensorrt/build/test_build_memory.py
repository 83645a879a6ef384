"""Which workspace is tried and what is tried again, in scripted builds and for real in a memory control group."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
import structlog
import trio
from hypothesis import given
from hypothesis import strategies as st

from asyncbench.backends.tensorrt.build.builder import BuildResult
from asyncbench.backends.tensorrt.build.engine_choice import choose_engines
from asyncbench.backends.tensorrt.build.memory import (
    FLOOR_BYTES,
    MAX_TRIES,
    RESERVE_BYTES,
    build_within_memory,
    derive_workspace,
    workspaces_to_try,
)
from asyncbench.backends.tensorrt.build.messages import REQUESTS, BuildRequest, BuildSettings
from asyncbench.backends.tensorrt.cache.sidecar import BuildFacts
from asyncbench.errors import AsyncbenchError, BackendUnavailableError, BadInputError, DoesNotFitError, EngineBuildError
from asyncbench.memory.host.limited_group import LimitedGroup, open_limited_group
from asyncbench.sweep.backends.tensorrt import EngineMode
from asyncbench.sweep.cell import Precision

MIB, GIB = 1 << 20, 1 << 30
KILLED = EngineBuildError("the builder was ended by SIGKILL", remedy="look into dmesg", signal="SIGKILL")
OUT_OF_MEMORY = DoesNotFitError("TensorRT could not build: out of memory", remedy="free some", requested_bytes=7)
CRASHED = EngineBuildError("the builder crashed with SIGSEGV", remedy="try another", signal="SIGSEGV")
REFUSED = EngineBuildError("no kernel", remedy="try another")
BUILT = BuildResult(build_ns=5, warnings=("slow",), peak_device_bytes=3)


def request(model: str = "net.onnx", *, workspace_bytes: int | None = None) -> BuildRequest:
    return BuildRequest(
        module_name="tensorrt_rtx_bindings",
        model_path=model,
        engine_path=f"{model}.engine",
        precision=Precision.FP32,
        shape=choose_engines((1, 4), EngineMode.DYNAMIC)[0],
        settings=BuildSettings(workspace_bytes=workspace_bytes),
        compute_capability=(8, 9),
    )


# -- which workspaces


def test_the_first_workspace_is_half_of_what_is_free_less_a_reserve():
    assert derive_workspace(8 * GIB + RESERVE_BYTES, None) == 4 * GIB


def test_a_budget_bounds_the_first_workspace_too():
    assert derive_workspace(8 * GIB, GIB) == GIB // 2
    assert derive_workspace(None, GIB) == GIB // 2


def test_without_a_device_the_first_workspace_is_left_to_tensorrt():
    assert derive_workspace(None, None) is None


@given(st.integers(0, 1 << 48), st.one_of(st.none(), st.integers(0, 1 << 48)))
def test_a_derived_workspace_is_never_below_the_floor_and_never_above_half_of_what_is_free(free_bytes, budget_bytes):
    workspace_bytes = derive_workspace(free_bytes, budget_bytes)

    assert workspace_bytes >= FLOOR_BYTES
    assert workspace_bytes == FLOOR_BYTES or workspace_bytes <= free_bytes // 2


@given(st.one_of(st.none(), st.integers(1, 1 << 48)))
def test_each_try_has_at_most_half_of_the_one_before_and_the_last_one_the_floor(first_bytes):
    tries = workspaces_to_try(first_bytes)
    known = [size for size in tries if size is not None]

    assert tries[0] == first_bytes
    assert len(tries) <= MAX_TRIES
    assert tries[-1] == (FLOOR_BYTES if len(tries) > 1 else first_bytes)
    assert all(later <= earlier // 2 or later == FLOOR_BYTES < earlier for earlier, later in pairwise(known))


def test_halving_goes_on_until_the_floor():
    assert [size // MIB for size in workspaces_to_try(100 * MIB)] == [100, 50, 25, 16]
    assert workspaces_to_try(FLOOR_BYTES) == (FLOOR_BYTES,)


# -- what is tried again


class Script:
    """A builder whose tries end as written."""

    def __init__(self, *ends: AsyncbenchError | BuildResult) -> None:
        self._ends = iter(ends)
        self.workspaces: list[int | None] = []
        self.said: list[str] = []

    async def build(self, wanted: BuildRequest) -> BuildResult:
        await trio.lowlevel.checkpoint()
        self.workspaces.append(wanted.workspace_bytes)
        end = next(self._ends)
        if isinstance(end, AsyncbenchError):
            raise end
        return end

    async def run(self, *workspaces: int | None, wanted: BuildRequest | None = None) -> BuildFacts:
        return await build_within_memory(
            wanted or request(), workspaces, label="net fp32", build=self.build, report=self.said.append
        )


async def test_a_build_that_works_is_one_try_and_nothing_is_said():
    script = Script(BUILT)

    facts = await script.run(GIB, GIB // 2)

    assert (facts.build_ns, facts.warnings, facts.peak_device_bytes, facts.workspace_bytes) == (5, ("slow",), 3, GIB)
    assert [(one.workspace_bytes, one.outcome) for one in facts.tries] == [(GIB, "built")]
    assert script.said == []


@pytest.mark.parametrize("failure", [KILLED, OUT_OF_MEMORY])
async def test_a_killed_or_starved_build_is_tried_again_with_less_in_one_line_each(failure):
    script = Script(failure, failure, BUILT)

    facts = await script.run(None, GIB, GIB // 2)

    assert script.workspaces == [None, GIB, GIB // 2]
    assert facts.workspace_bytes == GIB // 2
    assert [one.outcome for one in facts.tries] == [failure.message, failure.message, "built"]
    assert script.said == [
        f"net fp32: {failure.message}; trying a workspace of 1.00 GiB after TensorRT's own size",
        f"net fp32: {failure.message}; trying a workspace of 512 MiB after 1.00 GiB",
    ]


async def test_less_than_the_user_asked_for_is_said_to_be():
    script = Script(KILLED, BUILT)

    await script.run(GIB, GIB // 2, wanted=request(workspace_bytes=GIB))

    assert script.said[0].endswith("trying a workspace of 512 MiB after 1.00 GiB, below the --workspace of 1.00 GiB")


@pytest.mark.parametrize("failure", [CRASHED, REFUSED, BadInputError("no network")])
async def test_what_less_memory_cannot_mend_is_not_tried_again(failure):
    script = Script(failure)

    with pytest.raises(type(failure)) as raised:
        await script.run(GIB, GIB // 2)

    assert raised.value is failure
    assert script.said == []


async def test_when_all_tries_fail_the_error_has_the_cause_the_remedy_and_the_tries():
    script = Script(OUT_OF_MEMORY, KILLED, OUT_OF_MEMORY)

    with pytest.raises(DoesNotFitError) as raised:
        await script.run(64 * MIB, 32 * MIB, 16 * MIB)

    assert raised.value.message == (
        "TensorRT could not build: out of memory (try 3, with workspaces of 64.0 MiB, 32.0 MiB, 16.0 MiB)"
    )
    assert raised.value.remedy == OUT_OF_MEMORY.remedy
    assert raised.value.facts == {"requested_bytes": 7, "build_tries": 3}


async def test_another_failure_after_a_kill_ends_the_tries_and_tells_of_both():
    script = Script(KILLED, REFUSED)

    with pytest.raises(EngineBuildError, match=r"no kernel \(try 2, with workspaces of 1\.00 GiB, 512 MiB\)"):
        await script.run(GIB, GIB // 2, GIB // 4)


async def test_each_try_is_an_event_in_the_log():
    with structlog.testing.capture_logs() as events:
        await Script(KILLED, BUILT).run(GIB, GIB // 2)

    assert [(one["event"], one["workspace_bytes"], one["outcome"]) for one in events] == [
        ("build_try", GIB, KILLED.message),
        ("build_try", GIB // 2, "built"),
    ]


async def test_cancelling_between_two_tries_starts_no_other():
    script = Script(KILLED, BUILT)

    with trio.CancelScope() as scope:
        await build_within_memory(
            request(), (GIB, GIB // 2), label="net", build=script.build, report=lambda _: scope.cancel()
        )

    assert scope.cancelled_caught
    assert script.workspaces == [GIB]


# -- for real

WATCHDOG_S = 60
# Its own memory is 40 MiB and its builder's is 160 MiB. It waits for a line before it goes on after a failed try.
PARENT = """
import dataclasses, json, sys, trio
from functools import partial
import structlog
from asyncbench.backends.tensorrt.build.memory import build_within_memory
from asyncbench.backends.tensorrt.build.builder import build_engine
from asyncbench.backends.tensorrt.build.messages import REQUESTS
from asyncbench.errors import AsyncbenchError

structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))

def tell(**what):
    print(json.dumps(what), flush=True)

def say(text):
    tell(said=text)
    sys.stdin.readline()

async def main():
    wanted = REQUESTS.validate_json(sys.argv[1])
    build = partial(build_engine, on_progress=lambda progress: None)
    try:
        facts = await build_within_memory(wanted, json.loads(sys.argv[2]), label="net", build=build, report=say)
        tell(built=dataclasses.asdict(facts))
    except AsyncbenchError as error:
        tell(kind=type(error).__name__, error=error.message, remedy=error.remedy, facts=error.facts)

trio.run(main)
"""


@pytest.fixture
def tight() -> Iterator[LimitedGroup]:
    """A memory control group that holds the parent and not its builder."""
    try:
        with open_limited_group(limit_bytes=90 * MIB) as group:
            yield group
    except BackendUnavailableError as error:
        pytest.skip(str(error))


class Supervised:
    """A process in the group that builds, line by line."""

    def __init__(self, group: LimitedGroup, wanted: BuildRequest, workspaces: list[int]) -> None:
        command = [sys.executable, "-c", PARENT, REQUESTS.dump_json(wanted).decode(), json.dumps(workspaces)]
        self._process = subprocess.Popen(
            group.wrap(command), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )

    def hear(self) -> dict[str, object]:
        return json.loads(self._process.stdout.readline())

    def go_on(self) -> None:
        self._process.stdin.write("\n")
        self._process.stdin.flush()

    def wait(self) -> int:
        self._process.communicate(timeout=WATCHDOG_S)
        return self._process.returncode


@pytest.mark.slow
def test_a_builder_without_room_is_killed_alone_each_time_and_the_end_explains_it(rtx, write_network, tight):
    wanted = request(str(write_network()))
    parent = Supervised(tight, wanted, [64 * MIB, 32 * MIB, 16 * MIB])

    said = []
    for _ in range(2):
        said.append(parent.hear()["said"])
        parent.go_on()
    end = parent.hear()

    assert parent.wait() == 0
    assert tight.read_oom().oom_kills == 3
    assert [line.rpartition("; ")[2] for line in said] == [
        "trying a workspace of 32.0 MiB after 64.0 MiB",
        "trying a workspace of 16.0 MiB after 32.0 MiB",
    ]
    assert end["kind"] == "DoesNotFitError"
    assert "the kernel's out-of-memory killer ended it: the group used 90.0 MiB of 90.0 MiB" in end["error"]
    assert end["error"].endswith("(try 3, with workspaces of 64.0 MiB, 32.0 MiB, 16.0 MiB)")
    assert "build on a machine with more free host memory" in end["remedy"]
    assert end["facts"]["limit_bytes"] == 90 * MIB
    assert end["facts"]["signal"] == "SIGKILL"
    assert not Path(wanted.engine_path).exists()


@pytest.mark.slow
def test_a_later_try_succeeds_once_there_is_room(rtx, write_network, tight):
    wanted = request(str(write_network()))
    parent = Supervised(tight, wanted, [64 * MIB, 32 * MIB])

    killed = parent.hear()["said"]
    tight.set_limit(2 * GIB)
    parent.go_on()
    built = parent.hear()["built"]

    assert parent.wait() == 0
    assert "out-of-memory killer" in killed
    assert built["workspace_bytes"] == 32 * MIB
    assert [one["workspace_bytes"] for one in built["tries"]] == [64 * MIB, 32 * MIB]
    assert built["tries"][1]["outcome"] == "built"
    assert Path(wanted.engine_path).stat().st_size > 0
