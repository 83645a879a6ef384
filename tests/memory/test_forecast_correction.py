from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asyncbench.memory.available import Available, LimitedBy
from asyncbench.memory.forecast import MemoryForecast
from asyncbench.memory.forecast_correction import ForecastCorrection, OverheadPrior

MIB = 2**20
PAGE = 2 * MIB
LANES = (1, 2, 4, 8, 16, 32)


def forecast(device_bytes, host_bytes=0):
    return MemoryForecast(device_bytes=device_bytes, host_bytes=host_bytes)


def raw_of(lanes, batch=8):
    return forecast((5 + batch * lanes) * MIB, batch * lanes * MIB // 2)


def in_pages(size_bytes):
    return -(-size_bytes // PAGE) * PAGE


def used_of(lanes, *, fixed, per_lane, batch=8):
    """What a cell takes whose backend misses so many MiB once and per lane, on both sides."""
    raw, missed_bytes = raw_of(lanes, batch), (fixed + per_lane * lanes) * MIB
    return forecast(in_pages(max(0, raw.device_bytes + missed_bytes)), max(0, raw.host_bytes + missed_bytes))


def teach(correction, cells, **overhead):
    for lanes in cells:
        correction.learn(raw_of(lanes), used_of(lanes, **overhead), lanes=lanes)


def test_before_anything_was_seen_the_prior_holds():
    correction = ForecastCorrection(
        device=OverheadPrior(fixed_bytes=100, per_lane_bytes=10, weight=1, keep_ratio=0.5),
        host=OverheadPrior(fixed_bytes=7, per_lane_bytes=0, weight=1, keep_ratio=0.5),
    )

    assert correction.corrected(forecast(1_000, 500), lanes=4) == forecast(1_140, 507)


def test_without_a_prior_a_forecast_stays_as_it_is():
    assert ForecastCorrection().corrected(raw_of(8), lanes=8) == raw_of(8)


def test_one_cell_is_enough_for_cells_like_it():
    correction = ForecastCorrection()

    teach(correction, [4], fixed=300, per_lane=6)

    device_bytes = correction.corrected(raw_of(4), lanes=4).device_bytes
    assert abs(device_bytes - used_of(4, fixed=300, per_lane=6).device_bytes) < 2 * MIB


def test_the_first_surprise_is_taken_for_one_that_comes_once_rather_than_with_each_lane():
    correction = ForecastCorrection()

    teach(correction, [1], fixed=300, per_lane=0)

    device_bytes = correction.corrected(raw_of(8), lanes=8).device_bytes
    assert raw_of(8).device_bytes + 300 * MIB < device_bytes < raw_of(8).device_bytes + 600 * MIB


def test_a_belief_about_lanes_stays_while_cells_of_one_kind_agree_with_it():
    correction = ForecastCorrection(device=OverheadPrior(per_lane_bytes=10 * MIB, weight=0.1, keep_ratio=0.5))

    teach(correction, [4] * 20, fixed=0, per_lane=10)

    missed_bytes = correction.corrected(raw_of(32), lanes=32).device_bytes - raw_of(32).device_bytes
    assert missed_bytes == pytest.approx(320 * MIB, abs=32 * PAGE)


def test_one_column_of_a_sweep_predicts_the_next_within_a_page_a_lane_on_the_device():
    correction = ForecastCorrection()

    teach(correction, LANES, fixed=400, per_lane=12)

    for lanes in LANES:
        predicted = correction.corrected(raw_of(lanes, batch=64), lanes=lanes).device_bytes
        assert abs(predicted - used_of(lanes, batch=64, fixed=400, per_lane=12).device_bytes) < 3 * MIB


@settings(max_examples=settings.default.max_examples // 2)
@given(
    before=st.tuples(st.integers(-100, 1_000), st.integers(0, 60)),
    after=st.tuples(st.integers(-100, 1_000), st.integers(0, 60)),
)
def test_a_change_is_followed_within_two_columns_on_the_device_and_three_on_the_host(before, after):
    correction = ForecastCorrection()
    teach(correction, LANES * 3, fixed=before[0], per_lane=before[1])

    teach(correction, LANES * 2, fixed=after[0], per_lane=after[1])
    early = [correction.corrected(raw_of(lanes), lanes=lanes) for lanes in LANES]
    teach(correction, LANES, fixed=after[0], per_lane=after[1])
    late = [correction.corrected(raw_of(lanes), lanes=lanes) for lanes in LANES]

    used = [used_of(lanes, fixed=after[0], per_lane=after[1]) for lanes in LANES]
    # The promise of a sweep: within 64 MiB or 3 %.
    device = [(one.device_bytes, other.device_bytes) for one, other in zip(early, used, strict=True)]
    host = [(one.host_bytes, other.host_bytes) for one, other in zip(late, used, strict=True)]
    for predicted_bytes, used_bytes in device + host:
        assert abs(predicted_bytes - used_bytes) <= max(64 * MIB, 0.03 * used_bytes)


@settings(max_examples=settings.default.max_examples // 2)
@given(
    before=st.integers(0, 500),
    after=st.integers(0, 500),
    lanes=st.sampled_from(LANES),
)
def test_a_change_is_followed_within_four_cells_of_one_kind(before, after, lanes):
    correction = ForecastCorrection()
    teach(correction, [lanes] * 10, fixed=before, per_lane=3)

    teach(correction, [lanes] * 4, fixed=after, per_lane=3)

    predicted = correction.corrected(raw_of(lanes), lanes=lanes).device_bytes
    used = used_of(lanes, fixed=after, per_lane=3).device_bytes
    assert abs(predicted - used) <= 0.07 * abs(after - before) * MIB + 3 * MIB


def test_an_overhead_that_stays_is_learned_without_a_bias():
    correction = ForecastCorrection()

    teach(correction, LANES * 6, fixed=900, per_lane=12)

    for lanes in LANES:
        predicted, used = correction.corrected(raw_of(lanes), lanes=lanes), used_of(lanes, fixed=900, per_lane=12)
        assert abs(predicted.device_bytes - used.device_bytes) < 3 * MIB  # pages
        assert abs(predicted.host_bytes - used.host_bytes) < MIB


@pytest.mark.parametrize("seed", range(5))
def test_noisy_host_readings_average_out(seed):
    noise = np.random.default_rng(seed).normal(scale=8 * MIB, size=(6, len(LANES)))
    correction = ForecastCorrection()

    for column in noise:
        for lanes, extra_bytes in zip(LANES, column, strict=True):
            used = used_of(lanes, fixed=150, per_lane=4)
            noisy = forecast(used.device_bytes, used.host_bytes + int(extra_bytes))
            correction.learn(raw_of(lanes), noisy, lanes=lanes)

    for lanes in LANES:
        predicted = correction.corrected(raw_of(lanes), lanes=lanes).host_bytes
        assert abs(predicted - used_of(lanes, fixed=150, per_lane=4).host_bytes) < 24 * MIB


readings = st.tuples(
    st.integers(1, 64), st.integers(0, 2**34), st.integers(0, 2**34), st.integers(0, 2**36), st.integers(0, 2**36)
)
refusals = st.tuples(st.integers(1, 64), st.integers(0, 2**34), st.integers(0, 2**36), st.sampled_from(LimitedBy))


def taught(events):
    """Return a correction that went through anything at all, plausible or not."""
    correction = ForecastCorrection()
    for event in events:
        if isinstance(event[-1], LimitedBy):
            lanes, raw_bytes, available_bytes, limited_by = event
            correction.learn_refusal(
                forecast(raw_bytes, raw_bytes), lanes=lanes, limited_by=limited_by, available_bytes=available_bytes
            )
        else:
            lanes, raw_device, raw_host, device, host = event
            correction.learn(forecast(raw_device, raw_host), forecast(device, host), lanes=lanes)
    return correction


@given(
    events=st.lists(readings | refusals, max_size=12),
    fixed_bytes=st.integers(0, 2**33),
    per_lane_bytes=st.integers(0, 2**30),
)
def test_whatever_was_learned_a_forecast_is_never_negative_and_never_falls_with_lanes(
    events, fixed_bytes, per_lane_bytes
):
    correction = taught(events)

    corrected = [
        correction.corrected(forecast(fixed_bytes + per_lane_bytes * lanes, per_lane_bytes * lanes), lanes=lanes)
        for lanes in range(1, 66)
    ]

    device, host = [one.device_bytes for one in corrected], [one.host_bytes for one in corrected]
    assert min(device) >= 0
    assert min(host) >= 0
    assert device == sorted(device)
    assert host == sorted(host)


@given(
    cells=st.lists(st.tuples(st.integers(1, 64), st.integers(0, 2**36), st.integers(0, 2**36)), max_size=8),
    raw_bytes=st.integers(0, 2**36),
    lanes=st.integers(1, 64),
)
def test_a_forecast_is_not_lowered_by_a_larger_share_than_a_cell_was_found_to_stay_below_its_own(
    cells, raw_bytes, lanes
):
    correction = ForecastCorrection()
    for cell_lanes, cell_raw, cell_used in cells:
        correction.learn(forecast(cell_raw, cell_raw), forecast(cell_used, cell_used), lanes=cell_lanes)

    corrected = correction.corrected(forecast(raw_bytes, raw_bytes), lanes=lanes)

    min_ratio = min([1.0, *(cell_used / cell_raw for _, cell_raw, cell_used in cells if cell_raw)])
    assert corrected.device_bytes >= int(raw_bytes * min_ratio)
    assert corrected.host_bytes >= int(raw_bytes * min_ratio)


def test_one_wild_reading_does_not_have_fewer_lanes_take_less_than_was_ever_seen():
    correction = ForecastCorrection()
    for lanes in (1, 2, 4):
        correction.learn(forecast(20 * lanes * MIB), forecast(21 * lanes * MIB), lanes=lanes)

    correction.learn(forecast(160 * MIB), forecast(168 * MIB + 40 * 2**30), lanes=8)

    for lanes in (1, 2):
        assert correction.corrected(forecast(20 * lanes * MIB), lanes=lanes) == forecast(20 * lanes * MIB)


@given(
    events=st.lists(readings | refusals, max_size=8),
    raw=st.builds(forecast, st.integers(0, 2**36), st.integers(0, 2**36)),
    lanes=st.integers(1, 64),
    available_bytes=st.integers(0, 2**37),
    limited_by=st.sampled_from(LimitedBy),
)
def test_after_a_refusal_so_many_lanes_do_not_fit_there_any_more(events, raw, lanes, available_bytes, limited_by):
    correction = taught(events)

    correction.learn_refusal(raw, lanes=lanes, limited_by=limited_by, available_bytes=available_bytes)

    available = {
        LimitedBy.DEVICE: Available(device_bytes=available_bytes, host_bytes=None),
        LimitedBy.HOST: Available(device_bytes=None, host_bytes=available_bytes),
        LimitedBy.POOL: Available(device_bytes=available_bytes, host_bytes=None, shared_pool=True),
    }[limited_by]
    shortage = available.shortage(correction.corrected(raw, lanes=lanes))
    assert shortage is not None
    assert shortage.limited_by is limited_by


def test_a_refusal_raises_fewer_lanes_in_proportion_and_the_other_memory_not_at_all():
    correction = ForecastCorrection()

    correction.learn_refusal(forecast(80, 80), lanes=8, limited_by=LimitedBy.DEVICE, available_bytes=159)

    assert correction.corrected(forecast(80, 80), lanes=8) == forecast(160, 80)
    assert correction.corrected(forecast(40, 40), lanes=4) == forecast(80, 40)


def test_a_refusal_of_a_pool_raises_the_sum_just_enough():
    correction = ForecastCorrection()

    correction.learn_refusal(forecast(80, 20), lanes=8, limited_by=LimitedBy.POOL, available_bytes=179)

    assert correction.corrected(forecast(80, 20), lanes=8) == forecast(160, 20)


def test_a_refusal_that_was_predicted_teaches_nothing():
    correction = ForecastCorrection()

    correction.learn_refusal(forecast(80), lanes=8, limited_by=LimitedBy.DEVICE, available_bytes=79)

    assert correction.corrected(forecast(80), lanes=8) == forecast(80)


def test_a_refusal_fades_with_cells_that_ran_as_predicted():
    correction = ForecastCorrection()
    correction.learn_refusal(raw_of(8), lanes=8, limited_by=LimitedBy.DEVICE, available_bytes=1_000 * MIB)

    for _ in range(10):
        correction.learn(raw_of(4), raw_of(4), lanes=4)

    assert correction.corrected(raw_of(8), lanes=8).device_bytes < raw_of(8).device_bytes + 2 * MIB
