"""A load as another package offers it: an inference every so often on the first lane, whether or not it is free."""

import numpy as np
import trio
from pydantic import BaseModel, ConfigDict, PositiveInt

from asyncbench.bench.load.generator import LoadDescriptor
from asyncbench.bench.load.lane_gate import LaneGate
from asyncbench.measurement.stamps import Completions


class SteadyOptions(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    every_ms: PositiveInt = 1


class SteadyLoad:
    def __init__(self, request):
        self._request = request
        self._gate = LaneGate()
        self._started = 0
        self._stopped = False
        self._busy = False
        if 0 in request.withheld:
            self._gate.close()

    async def run(self, body):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._start_inferences)
            await body()
            self._stopped = True
            self._gate.open()

    def flush(self):
        """Nothing waits to be recorded."""

    async def withhold(self, lane):
        if lane == 0:
            self._gate.close()
            await self._gate.wait_idle()

    def resume(self, lane):
        if lane == 0:
            self._gate.open()

    def busy(self):
        return [0] if self._busy else []

    def statistics(self):
        return {"started": self._started, "every_ms": self._request.options.every_ms, "seed": self._request.seed}

    async def _start_inferences(self):
        intended_at_ns = self._request.now_ns()
        self._gate.begin()
        while not self._stopped:
            if self._gate.closed:
                await self._gate.wait_open()
            else:
                await trio.sleep(max(0, intended_at_ns - self._request.now_ns()) / 1e9)
                await self._infer(intended_at_ns)
                intended_at_ns += self._request.options.every_ms * 1_000_000
        self._gate.end()

    async def _infer(self, intended_at_ns):
        self._started += 1
        self._busy = True
        stamps = await self._request.lanes[0].infer()
        self._busy = False
        instants = (stamps.issued_at_ns, stamps.completed_at_ns, intended_at_ns)
        issued, completed, intended = (np.array([instant], dtype=np.int64) for instant in instants)
        done = Completions(issued_at_ns=issued, completed_at_ns=completed, intended_at_ns=intended)
        self._request.record(done, 0)


LOAD = LoadDescriptor(make=SteadyLoad, options=SteadyOptions)
