"""A package's own backend and load in cells, as mypy must see them: it runs over this file."""

from asyncbench.backends.base import Backend, Engine
from asyncbench.bench.load.generator import ChosenLoad, LoadDescriptor, NoOptions
from asyncbench.results.record import CellRecord
from asyncbench.testing import (
    CellBench,
    SeenCompletions,
    cell_policy,
    engine_request,
    simulated_engine,
    simulated_lanes,
)


async def measure(backend: Backend) -> CellRecord:
    async with backend.open_engine(engine_request(batches=(1, 4), max_concurrency=2)) as engine:
        return await CellBench(engine, batches=(1, 4)).record(2, batch=4)


async def measure_under(load: LoadDescriptor[NoOptions]) -> CellRecord:
    chosen = ChosenLoad(name="mine", descriptor=load, options=NoOptions())
    async with simulated_engine(service={"median": "1ms"}) as opened:
        engine: Engine = opened
        return await CellBench(engine, cell_policy(load=chosen)).record(1, batch="1")  # type: ignore[arg-type]


async def count_on_a_lane() -> int:
    seen = SeenCompletions()
    async with simulated_lanes(1) as (lane,):
        lane.give_credits(1)
        seen(await lane.wait_completions(), 0)
    return seen.n
