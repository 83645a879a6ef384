from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncbench.clock import NS_PER_MS, NS_PER_S
from asyncbench.measurement.drift import DriftMeter

MS = NS_PER_MS


def meter_of(service_ns, *, window_ns=5 * NS_PER_S, opened_at_ns=0, chunk=None):
    service = np.asarray(service_ns, dtype=np.int64)
    completed = opened_at_ns + np.arange(1, len(service) + 1) * (window_ns // len(service))
    meter = DriftMeter()
    meter.open(opened_at_ns)
    for start in range(0, len(service), chunk or len(service)):
        part = slice(start, start + (chunk or len(service)))
        meter.record(completed[part], service[part])
    return meter


def noise(n, seed=1, scatter=0.05):
    return MS * np.exp(scatter * np.random.default_rng(seed).standard_normal(n))


@given(seed=st.integers(0, 10_000))
def test_no_flat_series_drifts_by_ten_percent(seed):
    ratio = meter_of(noise(500, seed)).drift_ratio()

    assert ratio is None or abs(ratio) < 0.1


@given(seed=st.integers(0, 10_000), rise=st.floats(0.2, 1.0))
def test_a_rise_over_the_window_is_found_with_its_size(seed, rise):
    ratio = meter_of(noise(500, seed) * np.linspace(1, 1 + rise, 500)).drift_ratio()

    # A third is 6 of the 20 slices that 5 s take: its middle lies 0.15 from its edge of the window.
    assert ratio == pytest.approx((1 + 0.85 * rise) / (1 + 0.15 * rise) - 1, abs=0.04)


def test_a_fall_is_negative():
    assert meter_of(noise(500) * np.linspace(1.3, 1, 500)).drift_ratio() < -0.1


def test_a_change_that_is_gone_at_the_end_is_no_drift():
    bump = 1 + 0.5 * np.sin(np.linspace(0, np.pi, 500))

    ratio = meter_of(noise(500) * bump).drift_ratio()

    assert ratio is None or abs(ratio) < 0.05


def test_a_step_without_any_scatter_is_told_from_chance():
    assert meter_of([MS] * 250 + [2 * MS] * 250).drift_ratio() == 1.0


def test_the_same_value_throughout_is_no_drift():
    assert meter_of([MS] * 500).drift_ratio() is None


@pytest.mark.parametrize("n", [0, 1, 2, 3])
def test_too_few_inferences_show_nothing(n):
    assert (meter_of([MS, 9 * MS, 90 * MS][:n]) if n else DriftMeter()).drift_ratio() is None


def test_what_is_not_after_the_opening_is_ignored():
    meter = DriftMeter()
    meter.record(np.array([5 * MS]), np.array([MS]))
    meter.open(10 * MS)

    meter.record(np.array([9 * MS, 10 * MS]), np.array([MS, MS]))

    assert meter.counts.sum() == 0


@given(
    gaps_ns=st.lists(st.integers(1, 10**9), min_size=1, max_size=100),
    opened_at_ns=st.integers(0, 10**15),
    chunk=st.integers(1, 100),
)
def test_slices_keep_every_inference_and_its_time_however_long_the_window(gaps_ns, opened_at_ns, chunk):
    offsets = np.cumsum(np.array(gaps_ns, dtype=np.int64))
    service = np.arange(1, len(offsets) + 1)
    meter = DriftMeter()
    meter.open(opened_at_ns)

    for start in range(0, len(offsets), chunk):
        part = slice(start, start + chunk)
        meter.record(opened_at_ns + offsets[part], service[part])

    slices = offsets // meter.slice_ns
    assert meter.counts.tolist() == np.bincount(slices, minlength=32).tolist()
    assert meter.sums_ns.tolist() == np.bincount(slices, weights=service, minlength=32).tolist()


def test_the_answer_does_not_depend_on_how_stamps_arrive():
    service = noise(500) * np.linspace(1, 1.5, 500)

    assert meter_of(service, chunk=7).drift_ratio() == meter_of(service).drift_ratio()


def test_neighbours_that_resemble_each_other_are_no_evidence_of_a_drift():
    # A slow random walk around one level: 100 inferences at a time share their deviation.
    found = 0
    for seed in range(200):
        shared = np.repeat(np.random.default_rng(seed).standard_normal(20), 100)
        found += meter_of(MS * np.exp(0.05 * shared)).drift_ratio() is not None

    # 1 % is asked for; inferences instead of slices as samples would find nearly all of them.
    assert found <= 20
