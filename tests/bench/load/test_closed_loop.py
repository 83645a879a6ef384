"""The closed loop, on a simulated device and Trio's mock clock."""

from functools import partial
from pathlib import Path

import numpy as np
import pytest
import trio

from asyncbench.backends.base import EngineRequest
from asyncbench.backends.simulated.backend import SimulatedBackend
from asyncbench.backends.simulated.spec import parse_simulated_spec
from asyncbench.bench.load.closed_loop import ClosedLoop
from asyncbench.errors import DeviceLostError, LaneError
from asyncbench.sweep.cell import Driver, Precision

REQUEST = EngineRequest(
    model_name="any",
    model_path=Path("simulated"),
    precision=Precision.FP32,
    device="auto",
    batches=(1,),
    max_concurrency=8,
)
SERVICE = {"kind": "constant", "median": "2ms"}


class Counted:
    """Takes completions and keeps their number and the stamps of the last of them."""

    def __init__(self):
        self.n = 0
        self.first_issued_at_ns = None
        self.last_completed_at_ns = 0

    def __call__(self, done, _worker=0):
        self.n += len(done)
        if self.first_issued_at_ns is None:
            self.first_issued_at_ns = int(done.issued_at_ns[0])
        self.last_completed_at_ns = max(self.last_completed_at_ns, int(done.completed_at_ns[-1]))


async def with_lanes(count, body, **device):
    """Run `body(lanes)` on `count` lanes of a new device."""
    spec = parse_simulated_spec({"service": SERVICE, "slots": 64} | device)
    async with SimulatedBackend(spec).open_engine(REQUEST) as engine:
        inputs = {spec.name: _zeros(spec) for spec in engine.facts.inputs}
        async with engine.open_lanes(batch=1, count=count, inputs=inputs) as lanes:
            return await body(lanes)


def _zeros(spec):
    return np.zeros((1, *spec.item_shape), dtype=spec.dtype)


@pytest.mark.parametrize("driver", list(Driver))
async def test_lanes_are_kept_busy_back_to_back(driver, autojump_clock):
    async def body(lanes):
        counted = Counted()
        await ClosedLoop(lanes, concurrency=len(lanes), driver=driver, record=counted).run(partial(trio.sleep, 1.0))
        return counted

    counted = await with_lanes(3, body)

    # 3 lanes x 500 inferences of 2 ms in a second; one more each may be in flight when the body ends.
    assert 1500 <= counted.n <= 1503
    assert counted.last_completed_at_ns - counted.first_issued_at_ns <= 1_002_000_000


@pytest.mark.parametrize("driver", list(Driver))
async def test_leaving_the_body_drains_what_is_in_flight(driver, autojump_clock):
    async def body(lanes):
        counted = Counted()
        await ClosedLoop(lanes, concurrency=len(lanes), driver=driver, record=counted).run(partial(trio.sleep, 0.001))
        return counted, trio.current_time()

    started = trio.current_time()
    counted, ended = await with_lanes(2, body)

    assert counted.n == 2
    assert ended - started == pytest.approx(0.002, abs=1e-9)


@pytest.mark.parametrize("driver", list(Driver))
async def test_a_failed_inference_ends_the_loop_with_the_lanes_own_error(driver, autojump_clock):
    async def body(lanes):
        loop = ClosedLoop(lanes, concurrency=len(lanes), driver=driver, record=lambda _done, _worker: None)
        await loop.run(partial(trio.sleep, 10))

    with pytest.raises(LaneError):
        await with_lanes(2, body, faults=[{"at": 20, "kind": "error"}])


@pytest.mark.parametrize("driver", list(Driver))
async def test_a_lane_that_hangs_is_given_up_after_the_drain_limit(driver, autojump_clock):
    async def body(lanes):
        loop = ClosedLoop(lanes, concurrency=len(lanes), driver=driver, record=lambda _done, _worker: None)
        await loop.run(partial(trio.sleep, 1))

    with pytest.raises(DeviceLostError, match="1 of 2 workers did not finish"):
        await with_lanes(2, body, faults=[{"at": 20, "kind": "hang"}])


@pytest.mark.parametrize("driver", list(Driver))
async def test_a_cancelled_loop_ends_and_leaves_no_task_behind(driver, autojump_clock):
    async def body(lanes):
        with trio.move_on_after(0.5) as scope:
            await ClosedLoop(lanes, concurrency=len(lanes), driver=driver, record=lambda _done, _worker: None).run(
                trio.sleep_forever
            )
        return scope.cancelled_caught

    tasks_before = trio.lowlevel.current_statistics().tasks_living
    cancelled = await with_lanes(4, body)

    assert cancelled
    assert trio.lowlevel.current_statistics().tasks_living == tasks_before


@pytest.mark.parametrize("driver", list(Driver))
async def test_a_flush_counts_what_has_completed_so_far(driver, autojump_clock):
    counts = []

    async def body(lanes):
        counted = Counted()
        loop = ClosedLoop(lanes, concurrency=len(lanes), driver=driver, record=counted)

        async def look_often():
            for _ in range(5):
                await trio.sleep(0.1)
                loop.flush()
                counts.append(counted.n)

        await loop.run(look_often)

    await with_lanes(1, body)

    assert counts == pytest.approx([50, 100, 150, 200, 250], abs=1)
