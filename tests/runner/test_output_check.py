"""The canary."""

import numpy as np
import pytest

from asyncbench.runner.output_check import ForeignReference, OutputCheck, compare_outputs


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


class Answers:
    """A lane that gives these outputs."""

    index = 0

    def __init__(self, outputs):
        self._outputs = outputs

    async def infer(self):
        """Nothing to run."""

    def read_outputs(self):
        return {"prob": np.array(self._outputs, dtype=np.float32)}


def foreign(outputs):
    return ForeignReference(runtime="another runtime", outputs={"prob": np.array(outputs)}, tolerance_ratio=0.03)


async def test_a_reference_that_another_runtime_agrees_with_says_how_well():
    check = OutputCheck(lambda _: None, foreign=foreign([[0.5, 0.25]]))
    lane = Answers([[0.5, 0.251], [0.1, 0.2]])

    await check.learn(2, lane)
    comparison = check.compare(2, [lane])

    assert comparison.mismatch is None
    assert "within 0.001 of another runtime" in comparison.reference


async def test_lanes_that_agree_with_each_other_but_not_with_another_runtime_are_a_mismatch():
    check = OutputCheck(lambda _: None, foreign=foreign([[0.5, 0.25]]))
    lane = Answers([[0.25, 0.5]])

    await check.learn(1, lane)

    assert "against another runtime" in check.compare(1, [lane]).mismatch
