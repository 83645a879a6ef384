"""Credits in, stamps out."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from asyncbench.clock import now_ns

pytestmark = pytest.mark.native

A_MINUTE_NS = 60_000_000_000


def test_lane_runs_exactly_as_many_inferences_as_it_has_credits(pump, add_lane, fake_cuda):
    stream = fake_cuda.stream(low_ns=1_000)
    lane = add_lane(stream)

    pump.give_credits(lane, 7)

    assert pump.wait_idle(lane, A_MINUTE_NS)
    assert fake_cuda.count("launches", stream) == 7
    assert len(pump.drain(lane)[0]) == 7
    assert len(pump.drain(lane)[0]) == 0


@pytest.mark.parametrize("depth", [1, 2, 5])
def test_no_more_than_depth_is_in_flight(pump, add_lane, fake_cuda, depth):
    stream = fake_cuda.stream(low_ns=100_000)
    lane = add_lane(stream, depth=depth)

    pump.give_credits(lane, 12)

    assert pump.wait_idle(lane, A_MINUTE_NS)
    assert fake_cuda.count("max_in_flight", stream) == depth


def test_stamps_are_ordered_and_on_the_clock_of_python(pump, add_lane, fake_cuda):
    lane = add_lane(fake_cuda.stream(low_ns=20_000), gpu_time=True)
    before_ns = now_ns()

    pump.give_credits(lane, 10)
    assert pump.wait_idle(lane, A_MINUTE_NS)
    issued_at_ns, enqueue_ns, completed_at_ns, gpu_ns = pump.drain(lane)

    assert issued_at_ns.dtype == np.int64
    assert before_ns <= issued_at_ns[0]
    assert completed_at_ns[-1] <= now_ns()
    assert (enqueue_ns >= 0).all()
    assert (issued_at_ns + enqueue_ns <= completed_at_ns).all()
    assert (completed_at_ns[:-1] <= issued_at_ns[1:]).all()
    assert (completed_at_ns - issued_at_ns >= 20_000).all()
    assert (gpu_ns >= 19_999).all()  # float32 milliseconds round


def test_gpu_time_is_none_unless_asked_for(pump, add_lane, fake_cuda):
    lane = add_lane(fake_cuda.stream())

    pump.give_credits(lane, 1)
    assert pump.wait_idle(lane, A_MINUTE_NS)

    assert pump.drain(lane)[3] is None


def test_drained_stamps_outlive_the_pump_s_buffers(pump, add_lane, fake_cuda):
    lane = add_lane(fake_cuda.stream(), max_credits=4)
    pump.give_credits(lane, 4)
    assert pump.wait_idle(lane, A_MINUTE_NS)
    first = pump.drain(lane)[0]
    copy = first.copy()

    pump.give_credits(lane, 4)
    assert pump.wait_idle(lane, A_MINUTE_NS)
    pump.drain(lane)
    pump.remove_lane(lane)

    assert (first == copy).all()


def test_credits_beyond_the_limit_are_refused_and_not_given(pump, add_lane, fake_cuda):
    stream = fake_cuda.held_stream()
    lane = add_lane(stream, max_credits=4)
    pump.give_credits(lane, 3)

    with pytest.raises(ValueError, match="2 credits on top of 3 are more than max_credits, 4"):
        pump.give_credits(lane, 2)

    pump.take_credits_back(lane)
    fake_cuda.release(stream, 4)
    assert pump.wait_idle(lane, A_MINUTE_NS)


def test_undrained_completions_count_against_the_limit(pump, add_lane, fake_cuda):
    lane = add_lane(fake_cuda.stream(), max_credits=4)
    pump.give_credits(lane, 4)
    assert pump.wait_idle(lane, A_MINUTE_NS)

    with pytest.raises(ValueError, match="max_credits"):
        pump.give_credits(lane, 1)
    pump.drain(lane)
    pump.give_credits(lane, 4)

    assert pump.wait_idle(lane, A_MINUTE_NS)


def test_withdrawn_credits_start_nothing(pump, add_lane, fake_cuda):
    stream = fake_cuda.held_stream()
    lane = add_lane(stream)
    pump.give_credits(lane, 5)
    while pump.in_flight(lane) == 0:
        pass

    taken_back = pump.take_credits_back(lane)
    fake_cuda.release(stream)

    assert taken_back == 4
    assert pump.wait_idle(lane, A_MINUTE_NS)
    assert fake_cuda.count("launches", stream) == 1


def test_lanes_complete_in_the_order_of_the_device_and_not_of_their_launches(pump, add_lane, fake_cuda):
    streams = [fake_cuda.held_stream() for _ in range(3)]
    lanes = [add_lane(stream) for stream in streams]
    for lane in lanes:
        pump.give_credits(lane, 1)
    while any(pump.in_flight(lane) == 0 for lane in lanes):
        pass

    for position in (2, 0, 1):
        fake_cuda.release(streams[position])
        assert pump.wait_idle(lanes[position], A_MINUTE_NS)
    completed_at_ns = [pump.drain(lane)[2][0] for lane in lanes]

    assert completed_at_ns[2] < completed_at_ns[0] < completed_at_ns[1]


def test_sixty_four_lanes_share_one_pump(pump, add_lane, fake_cuda):
    lanes = [add_lane(fake_cuda.stream(low_ns=1_000, high_ns=50_000, seed=seed)) for seed in range(64)]

    for lane in lanes:
        pump.give_credits(lane, 5)

    assert all(pump.wait_idle(lane, A_MINUTE_NS) for lane in lanes)
    assert [len(pump.drain(lane)[0]) for lane in lanes] == [5] * 64


def test_empty_lane_completes_without_the_device(pump, fake_cuda):
    launches_before = fake_cuda.count("calls", "cuGraphLaunch")
    lane = pump.add_empty_lane(100)

    pump.give_credits(lane, 100)

    assert pump.wait_idle(lane, A_MINUTE_NS)
    assert len(pump.drain(lane)[0]) == 100
    assert fake_cuda.count("calls", "cuGraphLaunch") == launches_before


actions = st.lists(
    st.one_of(
        st.tuples(st.just("give"), st.integers(0, 6)),
        st.tuples(st.just("take back"), st.just(0)),
        st.tuples(st.just("drain"), st.just(0)),
        st.tuples(st.just("wait idle"), st.just(0)),
    ),
    max_size=30,
)


@settings(
    max_examples=settings.default.max_examples * 3 // 10, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    schedule=actions,
    depth=st.integers(1, 3),
    most_ns=st.integers(0, 30_000),
)
def test_no_schedule_loses_or_repeats_an_inference(pump, add_lane, fake_cuda, *, schedule, depth, most_ns):
    stream = fake_cuda.stream(high_ns=most_ns)
    lane = add_lane(stream, max_credits=6, depth=depth)
    given_count, issued_at_ns = 0, []

    for action, count in [*schedule, ("take back", 0), ("wait idle", 0), ("drain", 0)]:
        if action == "give":
            allowed = min(count, 6 - (given_count - len(issued_at_ns)))
            pump.give_credits(lane, allowed)
            given_count += allowed
        elif action == "take back":
            given_count -= pump.take_credits_back(lane)
        elif action == "drain":
            issued_at_ns.extend(pump.drain(lane)[0].tolist())
        else:
            assert pump.wait_idle(lane, A_MINUTE_NS)

    assert len(issued_at_ns) == given_count == fake_cuda.count("launches", stream)
    assert issued_at_ns == sorted(set(issued_at_ns))
    pump.remove_lane(lane)
