"""Lanes over the native pump and a fake driver: what only they promise."""

from __future__ import annotations

import pytest
import trio

from asyncbench.backends.lane_body import EmptyBody
from asyncbench.backends.tensorrt.settings import LaneSettings
from asyncbench.errors import DeviceLostError

pytestmark = pytest.mark.native


class Body(EmptyBody):
    """A graph on a stream of the fake driver."""

    graph_exec = 1

    def __init__(self, stream):
        super().__init__()
        self.stream = stream


@pytest.fixture
async def reactor(fake_cuda_library):
    pytest.importorskip("cuda.bindings", reason="cuda-bindings is not installed")
    from asyncbench.backends.tensorrt.run.pump import open_pump

    async with open_pump(0xC0DE, completion="yield", library=str(fake_cuda_library.path)) as reactor:
        yield reactor


async def test_an_await_of_an_inference_that_never_completes_ends_at_the_deadline(reactor, fake_cuda_library):
    from asyncbench.backends.tensorrt.run.pump import open_pump_lanes

    stream = fake_cuda_library.held_stream()
    settings = LaneSettings(deadline_ns=20_000_000)

    async with open_pump_lanes(reactor, [Body(stream)], settings) as (lane,):
        with trio.fail_after(10), pytest.raises(DeviceLostError, match="lane 0"):
            await lane.infer()
        fake_cuda_library.release(stream)


async def test_a_lane_on_another_stream_goes_on_while_one_hangs(reactor, fake_cuda_library):
    from asyncbench.backends.tensorrt.run.pump import open_pump_lanes

    held = fake_cuda_library.held_stream()
    streams = [held, fake_cuda_library.stream(low_ns=10_000)]

    async with open_pump_lanes(reactor, [Body(stream) for stream in streams]) as (stuck, free):
        stuck.give_credits(1)
        for _ in range(50):
            await free.infer()
        fake_cuda_library.release(held)
        done = await stuck.wait_completions()

    assert len(done) == 1


async def test_a_closed_lane_gives_nothing_and_waits_for_nothing(reactor, fake_cuda_library):
    from asyncbench.backends.tensorrt.run.pump import open_pump_lanes

    body = Body(fake_cuda_library.stream(low_ns=10_000))
    async with open_pump_lanes(reactor, [body]) as (lane,):
        await lane.infer()

    assert lane.take_credits_back() == 0
    await lane.wait_idle()
