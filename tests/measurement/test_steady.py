from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from asyncbench.clock import NS_PER_MS
from asyncbench.measurement.steady import SteadyDetector

MS = NS_PER_MS


def int64(values):
    return np.array(values, dtype=np.int64)


def inferences_until_steady(detector, service_ns):
    for count, value in enumerate(service_ns, start=1):
        detector.record(int64([value]))
        if detector.is_steady:
            return count
    return None


def test_nothing_seen_is_not_steady():
    assert not SteadyDetector(1).is_steady


def test_three_blocks_of_three_slow_inferences_are_enough():
    assert inferences_until_steady(SteadyDetector(1), [250 * MS] * 20) == 9


def test_a_block_has_an_inference_of_every_lane():
    assert inferences_until_steady(SteadyDetector(8), [250 * MS] * 50) == 24


def test_a_block_of_fast_inferences_lasts_twenty_milliseconds_on_every_lane():
    # 40 us each on 4 lanes: 20 ms are 500 inferences a lane.
    assert inferences_until_steady(SteadyDetector(4), [40_000] * 10_000) == 3 * 4 * 500


def test_blocks_do_not_depend_on_how_stamps_arrive():
    values = np.random.default_rng(1).integers(1 * MS, 3 * MS, 2_000)
    one_by_one, at_once = SteadyDetector(2), SteadyDetector(2)

    seen = []
    for value in values:
        one_by_one.record(int64([value]))
        seen.append(tuple(one_by_one.medians_ns))
    at_once.record(values)

    assert tuple(at_once.medians_ns) == seen[-1]
    assert at_once.is_steady == one_by_one.is_steady


def drifting_levels_ns(*, start_ns, end_ns, per_block, concurrency):
    """Return service times that move to `end_ns` by that ratio in each stretch of the shortest block."""
    lowest_ns = min(start_ns, end_ns)
    block_ns = max(20 * MS, max(3, concurrency) * lowest_ns / concurrency)
    step = (1 + per_block) ** (1 if end_ns > start_ns else -1)
    levels, level_ns, elapsed_ns = [], start_ns, 0.0
    while (level_ns < end_ns) == (start_ns < end_ns) and level_ns != end_ns:
        levels.append(level_ns)
        elapsed_ns += level_ns / concurrency
        level_ns = start_ns * step ** (elapsed_ns / block_ns)
    return np.array(levels)


@settings(max_examples=settings.default.max_examples // 2)
@given(
    concurrency=st.integers(1, 8),
    flat_ns=st.integers(1 * MS, 300 * MS),
    per_block=st.floats(0.035, 0.3),
    factor=st.sampled_from([0.5, 0.7, 1.5, 3.0]),
    seed=st.integers(0, 1_000),
)
def test_a_drift_is_waited_out_and_what_follows_is_steady(concurrency, flat_ns, per_block, factor, seed):
    rng = np.random.default_rng(seed)
    detector = SteadyDetector(concurrency)
    drift_ns = drifting_levels_ns(
        start_ns=factor * flat_ns, end_ns=flat_ns, per_block=per_block, concurrency=concurrency
    )
    block = max(3, concurrency, -(-20 * MS * concurrency // flat_ns))
    flat = rng.uniform(0.997, 1.003, 5 * block) * flat_ns

    steady_in_drift = []
    for values in np.array_split(rng.uniform(0.997, 1.003, len(drift_ns)) * drift_ns, 1 + len(drift_ns) // 3):
        detector.record(values.astype(np.int64))
        steady_in_drift.append(detector.is_steady)
    detector.record(flat.astype(np.int64))

    assert not any(steady_in_drift)
    assert detector.is_steady


def test_a_level_that_changes_is_no_longer_steady():
    detector = SteadyDetector(1)
    detector.record(int64([25 * MS] * 9))

    detector.record(int64([30 * MS] * 3))

    assert not detector.is_steady


@pytest.mark.parametrize(("last_ns", "steady"), [(105 * MS, True), (106 * MS, False)])
def test_medians_agree_within_five_percent(last_ns, steady):
    detector = SteadyDetector(1)

    detector.record(int64([100 * MS] * 6 + [last_ns] * 3))

    assert detector.is_steady is steady


def test_the_agreement_that_is_asked_for_can_be_wider():
    detector = SteadyDetector(1, agreement_ratio=0.1)

    detector.record(int64([100 * MS] * 6 + [109 * MS] * 3))

    assert detector.is_steady


def test_one_slow_inference_in_a_block_does_not_matter():
    detector = SteadyDetector(1)

    detector.record(int64([100 * MS, 900 * MS, 100 * MS] * 3))

    assert detector.is_steady
