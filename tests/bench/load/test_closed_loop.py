"""The closed loop, on a simulated device and Trio's mock clock."""

from functools import partial

import pytest
import trio

from asyncbench.bench.load.closed_loop import ClosedLoop
from asyncbench.clock import NS_PER_S
from asyncbench.errors import DeviceLostError, LaneError
from asyncbench.sweep.cell import Driver
from asyncbench.testing import SeenCompletions, simulated_lanes

each_driver = pytest.mark.parametrize("driver", list(Driver))


def loop_on(lanes, driver, seen=None):
    return ClosedLoop(lanes, concurrency=len(lanes), driver=driver, record=seen or SeenCompletions())


@each_driver
async def test_lanes_are_kept_busy_back_to_back(driver, autojump_clock):
    seen = SeenCompletions()

    async with simulated_lanes(3) as lanes:
        await loop_on(lanes, driver, seen).run(partial(trio.sleep, 1.0))

    # 3 lanes x 500 inferences of 2 ms in a second; one more each may be in flight when the body ends.
    assert 1500 <= seen.n <= 1503
    assert seen.all[-1][1] - seen.all[0][0] <= 1.002 * NS_PER_S


@each_driver
async def test_leaving_the_body_drains_what_is_in_flight(driver, autojump_clock):
    seen = SeenCompletions()

    async with simulated_lanes(2) as lanes:
        started_s = trio.current_time()
        await loop_on(lanes, driver, seen).run(partial(trio.sleep, 0.001))
        ended_s = trio.current_time()

    assert seen.n == 2
    assert ended_s - started_s == pytest.approx(0.002, abs=1e-9)


@each_driver
async def test_a_failed_inference_ends_the_loop_with_the_lanes_own_error(driver, autojump_clock):
    async with simulated_lanes(2, faults=[{"at": 20, "kind": "error"}]) as lanes:
        with pytest.raises(LaneError):
            await loop_on(lanes, driver).run(partial(trio.sleep, 10))


@each_driver
async def test_a_lane_that_hangs_is_given_up_after_the_drain_limit(driver, autojump_clock):
    async with simulated_lanes(2, faults=[{"at": 20, "kind": "hang"}]) as lanes:
        with pytest.raises(DeviceLostError, match="1 of 2 workers did not finish"):
            await loop_on(lanes, driver).run(partial(trio.sleep, 1))


@each_driver
async def test_a_cancelled_loop_ends_and_leaves_no_task_behind(driver, autojump_clock):
    tasks_before = trio.lowlevel.current_statistics().tasks_living

    async with simulated_lanes(4) as lanes:
        with trio.move_on_after(0.5) as scope:
            await loop_on(lanes, driver).run(trio.sleep_forever)

    assert scope.cancelled_caught
    assert trio.lowlevel.current_statistics().tasks_living == tasks_before


@each_driver
async def test_a_flush_counts_what_has_completed_so_far(driver, autojump_clock):
    seen, counts = SeenCompletions(), []

    async with simulated_lanes(1) as lanes:
        loop = loop_on(lanes, driver, seen)

        async def look_often():
            for _ in range(5):
                await trio.sleep(0.1)
                loop.flush()
                counts.append(seen.n)

        await loop.run(look_often)

    assert counts == pytest.approx([50, 100, 150, 200, 250], abs=1)
