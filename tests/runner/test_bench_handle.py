"""The supervisor's end of the pipe to a bench process."""

from __future__ import annotations

import sys

import trio

from asyncbench.host_memory.probe import OomCount
from asyncbench.runner.bench_handle import open_bench
from asyncbench.runner.messages import RunCell, StopCell

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
        said.append(await bench.ask(RunCell(index=0, batch=1, concurrency=1), on_progress=said.append))

    async with open_bench(command, no_oom) as bench, trio.open_nursery() as nursery:
        nursery.start_soon(ask, bench)
        for _ in range(20):
            nursery.start_soon(bench.send, StopCell())

    assert [answer.message for answer in said] == ["2 lines"]
