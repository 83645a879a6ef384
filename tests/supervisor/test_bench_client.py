"""The supervisor's end of the pipe to a bench process."""

from __future__ import annotations

import resource
import sys

import pytest
import trio

from asyncbench.errors import BenchProcessDiedError, ExitCode
from asyncbench.memory.host.probe import OomCount
from asyncbench.supervisor.bench_client import open_bench
from asyncbench.sweep.cell import Cell, Precision
from asyncbench.wire.messages import CellEnded, EngineOpened, RunCell, StopCell

CELL = Cell(model="any", precision=Precision.FP32, batch=1, concurrency=1)
# Answers a request as soon as it has read as many lines as are sent.
ECHO = """
import sys
lines = [sys.stdin.readline() for _ in range(int(sys.argv[1]))]
answer = '{"event": "refused", "error": "BadInputError", "message": "%d lines", "remedy": ""}'
print(answer % len(set(lines)), flush=True)
sys.stdin.read()
"""


def no_oom():
    return OomCount(oom_kills=None, of_own_group=False, groups=())


async def test_a_stop_may_be_sent_while_a_request_is():
    command = [sys.executable, "-c", ECHO, "21"]
    said = []

    async def ask(bench):
        said.append(await bench.ask(RunCell(index=0, cell=CELL), CellEnded, on_progress=said.append))

    async with open_bench(command, no_oom) as bench, trio.open_nursery() as nursery:
        nursery.start_soon(ask, bench)
        for _ in range(20):
            nursery.start_soon(bench.send, StopCell())

    assert [answer.message for answer in said] == ["2 lines"]


async def test_an_answer_to_another_request_ends_the_process():
    answer = '{"event": "inspected", "fixed_batch": null, "fixed_by": null, "no_images": null}'

    async with open_bench([sys.executable, "-c", f"print({answer!r}, flush=True); input()"], no_oom) as bench:
        with pytest.raises(BenchProcessDiedError, match="answered StopCell with NetworkInspected and was killed"):
            await bench.ask(StopCell(), EngineOpened, on_progress=print)


@pytest.fixture
def address_space_limit():
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (1 << 40, hard))
    yield
    resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


async def death_of(program):
    async with open_bench([sys.executable, "-c", program], no_oom) as bench:
        with pytest.raises(BenchProcessDiedError) as died:
            await bench.ask(StopCell(), CellEnded, on_progress=print)
    return died.value


@pytest.mark.usefixtures("address_space_limit")
@pytest.mark.parametrize(
    "raised", ["MemoryError", "ImportError('cv2.so: failed to map segment')", "ImportError('std::bad_alloc')"]
)
async def test_a_process_that_got_no_memory_to_start_in_names_the_limit_and_is_no_fault_of_ours(raised):
    error = await death_of(f"raise {raised}")

    assert f"ulimit -v is {1 << 30} (KiB)" in error.message
    assert (error.remedy, error.exit_code) == ("raise that limit", ExitCode.BAD_INPUT)
    assert error.memory_suspected


@pytest.mark.usefixtures("address_space_limit")
async def test_a_process_that_died_of_something_else_does_not_blame_the_limit():
    error = await death_of("raise KeyError('x')")

    assert "ulimit" not in error.message
    assert (error.remedy, error.exit_code) == ("", ExitCode.INTERNAL)
    assert not error.memory_suspected
