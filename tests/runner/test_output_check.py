"""The canary."""

import numpy as np
import pytest

from asyncbench.runner.output_check import compare_outputs


def test_equal_outputs_agree():
    reference = {"prob": np.linspace(0, 1, 10, dtype=np.float32)}

    difference, mismatch = compare_outputs(reference, {"prob": reference["prob"].copy()}, lane=0)

    assert (difference, mismatch) == (0.0, None)


def test_a_rounding_difference_is_reported_and_allowed():
    reference = {"prob": np.full(10, 0.5, dtype=np.float32)}

    difference, mismatch = compare_outputs(reference, {"prob": reference["prob"] + np.float32(1e-6)}, lane=0)

    assert 0 < difference < 2e-6
    assert mismatch is None


def test_a_difference_beyond_rounding_names_the_lane_and_the_output():
    reference = {"prob": np.full(10, 0.5, dtype=np.float32)}

    _, mismatch = compare_outputs(reference, {"prob": np.roll(np.linspace(0, 1, 10), 1)}, lane=3)

    assert mismatch is not None
    assert "'prob'" in mismatch
    assert "lane 3" in mismatch


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_an_output_that_is_no_number_never_passes(bad):
    reference = {"prob": np.zeros(3, dtype=np.float32)}

    difference, mismatch = compare_outputs(reference, {"prob": np.array([0, bad, 0], dtype=np.float32)}, lane=1)

    assert difference == 0.0
    assert mismatch == "output 'prob' of lane 1 is not finite"
