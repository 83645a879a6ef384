from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncbench.clock import NS_PER_S
from asyncbench.measurement.stamps import Completions
from asyncbench.measurement.window import WindowMeter, little_residual


def int64(values):
    return np.array(values, dtype=np.int64)


def completions(*pairs, intended_at_ns=None, enqueue_ns=None, gpu_ns=None):
    """Return inferences of one lane from (issued, completed)."""
    return Completions(
        issued_at_ns=int64([issued for issued, _ in pairs]),
        completed_at_ns=int64([completed for _, completed in pairs]),
        intended_at_ns=None if intended_at_ns is None else int64(intended_at_ns),
        enqueue_ns=None if enqueue_ns is None else int64(enqueue_ns),
        gpu_ns=None if gpu_ns is None else int64(gpu_ns),
    )


def back_to_back(service_ns, *, started_at_ns=0):
    """Return the stamps of a lane that is never idle."""
    completed = started_at_ns + np.cumsum(int64(service_ns))
    return list(zip((completed - service_ns).tolist(), completed.tolist(), strict=True))


@st.composite
def closed_loops(draw):
    """Return the stamps of each lane, an opening that is a completion, and a closing."""
    spans = st.tuples(st.integers(0, 5), st.integers(1, 50))
    lanes = []
    for steps in draw(st.lists(st.lists(spans, min_size=1, max_size=30), min_size=1, max_size=5)):
        pairs, now = [], 0
        for idle, service in steps:
            pairs.append((now + idle, now + idle + service))
            now += idle + service
        lanes.append(pairs)
    instants = sorted(completed for pairs in lanes for _, completed in pairs)
    opened = draw(st.sampled_from(instants))
    return lanes, opened, draw(st.integers(opened, instants[-1] + 10))


@given(loop=closed_loops(), early=st.integers(0, 10))
def test_a_window_is_what_its_definition_says_whatever_order_the_lanes_report_in(loop, early):
    lanes, opened, closed = loop
    meter = WindowMeter(len(lanes))
    meter.open(opened)
    # Only what has completed by the closing can be reported before it.
    before = [[pair for pair in pairs[:early] if pair[1] <= closed] for pairs in lanes]

    for pairs in before:
        meter.record(completions(*pairs))
    meter.close(closed)
    for pairs, reported in zip(lanes, before, strict=True):
        meter.record(completions(*pairs[len(reported) :]))
    result = meter.result()

    counted = [pair for pairs in lanes for pair in pairs if opened < pair[1] <= closed]
    assert result.n == len(counted)
    if counted:
        ended = max(completed for _, completed in counted)
        inside = sum(max(0, min(done, ended) - max(issued, opened)) for pairs in lanes for issued, done in pairs)
        assert (result.opened_at_ns, result.ended_at_ns, result.window_ns) == (opened, ended, ended - opened)
        assert result.mean_in_flight == pytest.approx(inside / (ended - opened))
        assert result.mean_in_flight <= len(lanes)
        assert result.mean_service_ns == pytest.approx(np.mean([done - issued for issued, done in counted]))
        assert result.inferences_per_s == pytest.approx(len(counted) * NS_PER_S / (ended - opened))
        assert meter.histogram.total_ns == sum(done - issued for issued, done in counted)


@given(service_ns=st.lists(st.integers(1, 10**9), min_size=2, max_size=50))
def test_one_busy_lane_has_exactly_one_in_flight_and_obeys_littles_law(service_ns):
    pairs = back_to_back(service_ns)
    meter = WindowMeter(1)
    meter.open(pairs[0][1])

    meter.record(completions(*pairs))
    result = meter.result()

    assert result.mean_in_flight == 1.0
    assert result.littles_law_residual == pytest.approx(0.0, abs=1e-9)


@given(seed=st.integers(0, 1_000), lanes=st.integers(1, 8))
def test_busy_lanes_keep_littles_law_but_for_one_inference_a_lane_at_each_edge(seed, lanes):
    rng = np.random.default_rng(seed)
    loops = [back_to_back(rng.integers(800, 1_200, 300)) for _ in range(lanes)]
    meter = WindowMeter(lanes)
    meter.open(loops[0][20][1])
    meter.close(loops[0][250][1])

    for pairs in loops:
        meter.record(completions(*pairs))
    result = meter.result()

    assert result.mean_in_flight == pytest.approx(lanes)
    assert result.littles_law_residual <= 1.5 * lanes / result.n


def test_nothing_counts_before_the_window_is_open():
    meter = WindowMeter(1)

    meter.record(completions((0, 10), (10, 20)))
    meter.open(20)

    assert meter.result().n == 0


def test_the_inference_whose_completion_opens_the_window_is_not_in_it():
    meter = WindowMeter(1)
    meter.open(20)

    meter.record(completions((10, 20), (20, 30)))

    assert meter.result().n == 1


def test_the_window_ends_at_its_last_completion_and_not_when_it_is_closed():
    meter = WindowMeter(1)
    meter.open(0)
    meter.record(completions((0, 400), (400, 800)))

    meter.close(1_000)
    meter.record(completions((800, 1_200)))
    result = meter.result()

    assert (result.n, result.window_ns, result.inferences_per_s) == (2, 800, 2 * NS_PER_S / 800)


def test_an_inference_across_the_end_is_in_flight_but_not_counted():
    meter = WindowMeter(2)
    meter.open(0)
    meter.record(completions((0, 1_000)))

    meter.close(1_000)
    meter.record(completions((500, 1_500), (1_500, 2_000)))
    result = meter.result()

    assert result.n == 1
    assert result.mean_in_flight == 1.5


def test_what_another_lane_completed_before_the_closing_counts_even_when_it_is_reported_after():
    meter = WindowMeter(2)
    meter.open(0)
    meter.record(completions((0, 600)))

    meter.close(1_000)
    meter.record(completions((0, 900), (900, 1_100)))

    assert meter.result().n == 2
    assert meter.result().ended_at_ns == 900


def test_closing_in_the_past_takes_no_counted_completion_back():
    meter = WindowMeter(2)
    meter.open(0)
    meter.record(completions((0, 600)))

    meter.close(500)
    meter.record(completions((0, 550), (550, 700)))

    assert meter.result().n == 2
    assert meter.result().ended_at_ns == 600


def test_a_window_without_completions_has_no_residual():
    meter = WindowMeter(1)
    meter.open(5)
    meter.close(10)

    result = meter.result()

    assert (result.n, result.window_ns, result.mean_in_flight, result.inferences_per_s) == (0, 0, 0.0, 0.0)
    assert result.littles_law_residual is None


def test_enqueue_and_device_times_have_histograms_of_their_own_where_the_lane_stamps_them():
    meter = WindowMeter(1)
    meter.open(10)

    meter.record(completions((0, 10), (10, 30), (30, 60), enqueue_ns=[1, 2, 3], gpu_ns=[7, 8, 9]))
    meter.record(completions((60, 100), enqueue_ns=[4], gpu_ns=[10]))

    assert (meter.enqueue_histogram.count, meter.enqueue_histogram.total_ns) == (3, 9)
    assert (meter.gpu_histogram.count, meter.gpu_histogram.total_ns) == (3, 27)


def test_a_lane_that_does_not_stamp_them_has_none():
    meter = WindowMeter(1)
    meter.open(0)

    meter.record(completions((0, 10)))

    assert meter.enqueue_histogram is None
    assert meter.gpu_histogram is None


def test_more_in_flight_at_the_end_than_lanes_can_hold_is_refused():
    meter = WindowMeter(1)
    meter.open(0)
    meter.close(10)

    with pytest.raises(ValueError, match="more than 64 inferences in flight"):
        meter.record(completions(*[(5, 20 + index) for index in range(65)]))


def test_little_is_exact_where_the_law_holds():
    assert little_residual(mean_in_flight=4.0, inferences_per_s=2_000, mean_service_ns=2_000_000) == 0.0


def test_little_tells_by_how_much_the_law_fails():
    residual = little_residual(mean_in_flight=4.0, inferences_per_s=2_000, mean_service_ns=3_000_000)

    assert residual == pytest.approx(0.5)


def test_waits_and_responses_count_from_the_intended_instants_of_what_lies_in_the_window():
    meter = WindowMeter(1)
    meter.open(10)

    meter.record(completions((0, 10), (10, 30), (30, 60), intended_at_ns=[0, 8, 9]))
    meter.close(60)
    meter.record(completions((60, 100), intended_at_ns=[10]))

    assert (meter.wait_histogram.count, meter.wait_histogram.total_ns) == (2, 2 + 21)
    assert (meter.response_histogram.count, meter.response_histogram.total_ns) == (2, 22 + 51)


def test_an_inference_that_was_issued_just_before_its_intended_instant_has_not_waited():
    meter = WindowMeter(1)
    meter.open(0)

    meter.record(completions((10, 30), intended_at_ns=[11]))

    assert (meter.wait_histogram.total_ns, meter.response_histogram.total_ns) == (0, 20)


def test_a_load_without_a_schedule_has_neither():
    meter = WindowMeter(1)
    meter.open(0)

    meter.record(completions((0, 10)))

    assert (meter.wait_histogram, meter.response_histogram) == (None, None)
