"""The parts for tests of others, used as their docstrings say."""

from __future__ import annotations

from importlib.metadata import entry_points

import pytest
import trio

import asyncbench.testing
from asyncbench.bench.memory.admission_controller import MemoryPolicy
from asyncbench.clock import NS_PER_S
from asyncbench.errors import DoesNotFitError, LaneError
from asyncbench.results.status import Status
from asyncbench.testing import (
    CellBench,
    MemoryHog,
    cell_policy,
    cell_record,
    engine_request,
    header_record,
    open_lane_bytes,
    run_on_mock_clock,
    simulated_engine,
    write_distribution,
)


def test_every_figure_of_a_simulated_cell_is_exact():
    async def main():
        async with simulated_engine(service={"median": "4ms"}, slots=2) as engine:
            return await CellBench(engine, cell_policy(iterations=100)).record(4)

    record = run_on_mock_clock(main)

    assert (record.status, record.n, record.concurrency) == (Status.MEASURED, 100, 4)
    assert record.latency.service.mean_ns == 8_000_000  # 4 lanes take turns on 2 slots
    assert record.throughput_queries_s == pytest.approx(500)


async def test_a_device_is_described_by_the_keys_of_a_configuration():
    with pytest.raises(ValueError, match="slot"):
        await simulated_engine(slot=1).__aenter__()


async def test_what_stands_beside_a_cell_ends_with_it_and_may_take_its_memory(autojump_clock):
    async with simulated_engine(memory="124MiB") as engine:  # 64 MiB the engine, 20 MiB a lane
        hog = MemoryHog(engine)

        async def take_all():
            await trio.sleep(1)
            hog.leave(0)
            await trio.sleep_forever()

        bench = CellBench(engine, cell_policy(duration_ns=2 * NS_PER_S), memory=MemoryPolicy(reserve_bytes=10 << 20))
        record = await bench.record(2, beside=take_all)
        hog.let_go()
        free_bytes, held_bytes = engine.device.free_bytes, await open_lane_bytes(engine)

    assert [change.lanes for change in record.memory.lane_changes] == [1]
    assert (free_bytes, held_bytes) == (60 << 20, 0)


@pytest.mark.parametrize(
    ("device", "error"),
    [({"memory": "70MiB"}, DoesNotFitError), ({"faults": [{"at": 3, "kind": "error"}]}, LaneError)],
)
async def test_a_cell_without_a_task_beside_it_raises_its_error_alone(device, error, autojump_clock):
    async with simulated_engine(**device) as engine:
        with pytest.raises(error):
            await CellBench(engine).measure(1)


def test_requests_and_records_have_what_is_given_and_something_for_the_rest():
    assert engine_request(batches=(1, 8)).batches == (1, 8)
    assert cell_record(3, concurrency=7).concurrency == 7
    assert header_record(cells=5).cells == 5


def test_a_distribution_on_the_path_is_found_with_its_modules(tmp_path, monkeypatch):
    offered = {"group": "somebodys.things", "entry_points": {"one": "module_of_one:ONE"}}
    monkeypatch.syspath_prepend(write_distribution(tmp_path, "one", modules={"module_of_one": "ONE = 1"}, **offered))

    (found,) = entry_points(group="somebodys.things")

    assert (found.dist.name, found.load()) == ("one", 1)


def test_all_names_are_there():
    assert [name for name in asyncbench.testing.__all__ if not hasattr(asyncbench.testing, name)] == []
