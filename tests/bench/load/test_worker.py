"""What the workers of a closed loop share."""

from hypothesis import given
from hypothesis import strategies as st

from asyncbench.bench.load.worker import InferenceQuota


@given(wanted=st.integers(min_value=1, max_value=10_000))
def test_a_quota_hands_out_what_is_wanted_until_it_is_stopped(wanted):
    quota = InferenceQuota()

    before = quota.take(wanted)
    quota.stop()
    after = quota.take(wanted)

    assert (before, after) == (wanted, 0)
