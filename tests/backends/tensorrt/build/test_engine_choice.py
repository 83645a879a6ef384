from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncbench.backends.tensorrt.build.engine_choice import choose_engines, profile_groups
from asyncbench.sweep.backends.tensorrt import EngineMode

BATCHES = st.lists(st.integers(1, 512), min_size=1, max_size=40).map(tuple)


def test_a_first_sweep_over_sixteen_batches_is_one_build():
    (engine,) = choose_engines(tuple(range(1, 17)), EngineMode.AUTO)

    assert [group.as_tuple() for group in engine.opt_profiles] == [(1, 1, 1), (2, 16, 16)]
    assert not engine.static_shapes


def test_a_single_batch_is_a_static_engine():
    (engine,) = choose_engines((4,), EngineMode.AUTO)

    assert engine.static_shapes
    assert str(engine) == "batch 4"


def test_static_means_one_engine_per_batch_smallest_first():
    engines = choose_engines((16, 1, 4, 4), EngineMode.STATIC)

    assert [one.batches for one in engines] == [(1,), (4,), (16,)]


def test_dynamic_means_one_engine_also_for_one_batch():
    (engine,) = choose_engines((4,), EngineMode.DYNAMIC)

    assert not engine.static_shapes


@given(BATCHES, st.sampled_from(EngineMode))
def test_every_batch_of_the_sweep_has_exactly_one_engine_and_a_profile_in_it(batches, mode):
    engines = choose_engines(batches, mode)

    covered = [batch for engine in engines for batch in engine.batches]
    assert covered == sorted(set(batches))
    for engine in engines:
        for batch in engine.batches:
            group = engine.opt_profiles[engine.profile_of(batch)]
            assert group.min <= batch <= group.max


@given(BATCHES, st.integers(1, 16))
def test_profiles_are_disjoint_ascending_tuned_inside_and_no_wider_than_allowed(batches, max_spread):
    groups = profile_groups(tuple(sorted(set(batches))), max_spread=max_spread)

    for group in groups:
        assert group.min <= group.opt <= group.max <= max_spread * group.min
    assert all(left.max < right.min for left, right in itertools.pairwise(groups))


def test_a_batch_that_the_engine_was_not_made_for_is_refused():
    (engine,) = choose_engines((1, 8), EngineMode.DYNAMIC)

    with pytest.raises(ValueError, match="batch 4"):
        engine.profile_of(4)
