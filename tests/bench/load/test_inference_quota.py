"""The closed loop's account."""

from hypothesis import given
from hypothesis import strategies as st

from asyncbench.bench.load.inference_quota import InferenceQuota


@given(wanted=st.integers(min_value=1, max_value=10_000))
def test_a_load_hands_out_what_is_wanted_until_it_is_stopped(wanted):
    load = InferenceQuota()

    before = load.take(wanted)
    load.stop()
    after = load.take(wanted)

    assert (before, after) == (wanted, 0)
