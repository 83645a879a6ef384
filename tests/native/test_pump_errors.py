"""What stops a lane, and what it does not stop."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.native

A_MINUTE_NS = 60_000_000_000
ILLEGAL_ADDRESS = (700, "CUDA_ERROR_ILLEGAL_ADDRESS", "an illegal memory access was encountered")


@pytest.mark.parametrize("function", ["cuGraphLaunch", "cuEventRecord", "cuEventQuery", "cuEventElapsedTime"])
def test_failed_call_stops_its_lane_with_cuda_s_words_and_no_other(pump, add_lane, fake_cuda, function):
    stream = fake_cuda.stream(low_ns=5_000)
    broken = add_lane(stream, gpu_time=True)
    whole = add_lane(fake_cuda.stream(low_ns=5_000))
    fake_cuda.fail(function, stream=stream, nth=4)

    pump.give_credits(broken, 16)
    pump.give_credits(whole, 16)

    assert pump.wait_idle(broken, A_MINUTE_NS)
    assert pump.wait_idle(whole, A_MINUTE_NS)
    assert pump.lane_error(broken) == (*ILLEGAL_ADDRESS, function)
    assert pump.lane_error(whole) is None
    assert fake_cuda.count("launches", stream) < 16
    assert len(pump.drain(whole)[0]) == 16


def test_failed_lane_takes_no_credits_and_keeps_what_it_has_stamped(pump, add_lane, fake_cuda):
    stream = fake_cuda.stream()
    lane = add_lane(stream)
    fake_cuda.fail("cuGraphLaunch", stream=stream, nth=4)
    pump.give_credits(lane, 10)
    assert pump.wait_idle(lane, A_MINUTE_NS)

    pump.give_credits(lane, 5)

    assert pump.take_credits_back(lane) == 0
    assert fake_cuda.count("launches", stream) == 3
    assert len(pump.drain(lane)[0]) == 3


def test_lane_that_failed_stays_in_flight_until_the_device_is_done_with_it(pump, add_lane, fake_cuda):
    stream = fake_cuda.held_stream()
    lane = add_lane(stream)
    fake_cuda.fail("cuEventRecord", stream=stream)
    pump.give_credits(lane, 2)
    while pump.lane_error(lane) is None:
        pass

    assert not pump.wait_idle(lane, 1_000_000)
    assert pump.in_flight(lane) == 1
    with pytest.raises(RuntimeError, match=f"lane {lane} still has credits or inferences in flight"):
        pump.remove_lane(lane)
    fake_cuda.release(stream)

    assert pump.wait_idle(lane, A_MINUTE_NS)


def test_sticky_error_stops_every_lane_and_none_hangs(pump, add_lane, fake_cuda):
    lanes = [add_lane(fake_cuda.stream(low_ns=10_000), max_credits=4096) for _ in range(4)]
    for lane in lanes:
        pump.give_credits(lane, 4096)

    fake_cuda.fail("cuEventQuery", nth=10, sticky=True)

    assert all(pump.wait_idle(lane, A_MINUTE_NS) for lane in lanes)
    assert {pump.lane_error(lane)[:3] for lane in lanes} == {ILLEGAL_ADDRESS}


def test_inference_beyond_its_deadline_is_an_error_but_is_still_waited_for(pump, add_lane, fake_cuda):
    stream = fake_cuda.held_stream()
    lane = add_lane(stream, deadline_ns=2_000_000)
    pump.give_credits(lane, 3)
    while pump.lane_error(lane) is None:
        pass

    assert pump.lane_error(lane) == (0, "NO_COMPLETION", "no completion within 2000000 ns", "cuEventQuery")
    assert pump.in_flight(lane) == 1
    fake_cuda.release(stream)

    assert pump.wait_idle(lane, A_MINUTE_NS)
    assert fake_cuda.count("launches", stream) == 1


def test_failed_event_creation_adds_no_lane_and_leaves_no_event(pump, add_lane, fake_cuda):
    fake_cuda.fail("cuEventCreate", nth=3, code=2)

    with pytest.raises(RuntimeError) as caught:
        add_lane(fake_cuda.stream(), depth=2, gpu_time=True)

    assert caught.value.args == (2, "CUDA_ERROR_OUT_OF_MEMORY", "some other error", "cuEventCreate")
    with pytest.raises(IndexError, match="there is no lane 0"):
        pump.drain(0)
