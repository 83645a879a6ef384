"""Cells under a load that is no closed loop, on a simulated device and Trio's mock clock: every figure is exact."""

from __future__ import annotations

import math
from functools import partial
from pathlib import Path

import pytest
import trio

from asyncbench.bench.load.generator import ChosenLoad, LoadDescriptor, NoOptions
from asyncbench.bench.load.registry import choose_load
from asyncbench.bench.memory.admission_controller import MemoryPolicy
from asyncbench.clock import NS_PER_MS, NS_PER_S
from asyncbench.error_translation import own_error_of
from asyncbench.errors import InternalError
from asyncbench.results.status import Status
from asyncbench.sweep.load import LoadConfig
from asyncbench.testing import (
    CellBench,
    MemoryHog,
    cell_policy,
    open_lane_bytes,
    simulated_engine,
    write_distribution,
)

STEADY_LOAD = Path(__file__).parents[2] / "packages" / "steady_load.py"
SERVICE_MS = 4
LANE_BYTES = 20 << 20  # 16 MiB a lane and 4 MiB an item


@pytest.fixture
def steady(tmp_path, monkeypatch):
    """Return the load `steady` of a package, with an inference every so many milliseconds."""
    write_distribution(
        tmp_path,
        "steady_load",
        group="asyncbench.loads",
        entry_points={"steady": "steady_load:LOAD"},
        modules={"steady_load": STEADY_LOAD.read_text()},
    )
    monkeypatch.syspath_prepend(tmp_path)
    return lambda every_ms: choose_load(LoadConfig.model_validate({"kind": "steady", "every_ms": every_ms}), seed=0)


async def run_cell(load, *, lanes=2, beside=None, within_s=math.inf, **rule):
    """Run a cell with `beside(engine)` beside it, and return its record."""
    policy = cell_policy(load=load, warmup_ns=0, stall_limit_ns=10 * NS_PER_S, **rule)
    async with simulated_engine(service={"median": f"{SERVICE_MS}ms"}, memory="1GiB") as engine:
        bench = CellBench(engine, policy, memory=MemoryPolicy(reserve_bytes=2 * LANE_BYTES))
        record = await bench.record(lanes, beside=beside and partial(beside, engine), within_s=within_s)
        assert await open_lane_bytes(engine) == 0
    return record


async def test_a_load_that_the_lane_keeps_up_with_makes_nobody_wait(steady, autojump_clock):
    record = await run_cell(steady(every_ms=10), iterations=50)

    latency = record.latency
    assert (record.load, record.n, record.status) == ("steady", 50, Status.MEASURED)
    assert latency.wait.n == latency.response.n == latency.service.n == 50
    assert latency.wait.max_ns == 0
    assert latency.response.mean_ns == latency.service.mean_ns == SERVICE_MS * NS_PER_MS
    assert record.achieved_concurrency == pytest.approx(SERVICE_MS / 10, rel=0.05)


async def test_a_load_that_the_lane_does_not_keep_up_with_waits_longer_and_longer(steady, autojump_clock):
    record = await run_cell(steady(every_ms=1), iterations=50)

    assert record.latency.service.max_ns == SERVICE_MS * NS_PER_MS
    assert record.latency.wait.max_ns == 49 * (SERVICE_MS - 1) * NS_PER_MS
    assert record.latency.response.mean_ns == record.latency.wait.mean_ns + SERVICE_MS * NS_PER_MS


async def test_idle_lanes_are_neither_the_runners_cost_nor_a_mismatch_of_outputs(steady, autojump_clock):
    record = await run_cell(steady(every_ms=10), lanes=4, iterations=50)

    assert [reason.code for reason in record.reasons] == ["not_steady"]  # there was no warm-up
    assert record.runner_ns_per_inference is None
    assert record.outputs_checked.lanes == 4


async def test_the_record_has_what_the_load_says_of_itself_when_it_is_over(steady, autojump_clock):
    record = await run_cell(steady(every_ms=10), duration_ns=NS_PER_S)

    assert record.load_statistics == {"started": pytest.approx(100, abs=1), "every_ms": 10, "seed": 0}


async def test_while_its_only_lane_is_withheld_a_load_waits_from_the_instants_that_it_intended(steady, autojump_clock):
    withheld_s = 2

    async def hog(engine):
        hog = MemoryHog(engine)
        await trio.sleep(1)
        hog.leave(0)
        await trio.sleep(withheld_s)
        hog.let_go()
        await trio.sleep_forever()

    record = await run_cell(steady(every_ms=10), lanes=1, beside=hog, duration_ns=10 * NS_PER_S, within_s=60)

    assert [change.lanes for change in record.memory.lane_changes] == [0, 1]
    assert record.latency.wait.max_ns > withheld_s * NS_PER_S
    assert record.latency.service.max_ns == SERVICE_MS * NS_PER_MS


class FailingLoad:
    async def run(self, _body):
        await trio.lowlevel.checkpoint()
        raise ZeroDivisionError("no\ninferences")


async def test_an_error_of_another_package_s_load_names_the_load():
    descriptor = LoadDescriptor(make=lambda _: FailingLoad(), options=NoOptions)
    load = ChosenLoad(name="failing", descriptor=descriptor, options=NoOptions())

    with pytest.raises(Exception) as failed:  # noqa: PT011 # inside a group of the nursery beside the cell
        await run_cell(load)

    own = own_error_of(failed.value)
    assert isinstance(own, InternalError)
    assert own.message == "load failing failed: ZeroDivisionError: no inferences"
    assert own.remedy == "report it to whoever wrote that load"
