"""Comparison of the outputs of lanes."""

import numpy as np
import pytest

from asyncbench.bench.cell.output_check import ForeignReference, OutputCheck, compare_outputs
from asyncbench.models.graph_facts import GraphFacts, OutputsBehind


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


NAN, INF = np.nan, np.inf


@pytest.mark.parametrize(
    ("found", "message"),
    [
        ([0, NAN, 0], "is NaN in 1 of 3 values, where the reference is finite"),
        ([INF, NAN, -INF], "is NaN in 1 and infinite in 2 of 3 values, where the reference is finite"),
    ],
)
def test_what_is_not_finite_where_the_reference_is_never_passes(found, message):
    reference = {"prob": np.zeros(3, dtype=np.float32)}

    difference, mismatch = compare_outputs(reference, {"prob": np.array(found, dtype=np.float32)}, lane=1)

    assert difference == 0.0
    assert mismatch == f"output 'prob' of lane 1 {message}"


@pytest.mark.parametrize(
    ("expected", "found", "message"),
    [
        ([NAN, 1], [0, 1], "is finite, where the reference is NaN in 1 of 2 values"),
        ([INF, 1], [-INF, 1], "is infinite in 1 of 2 values, where the reference is infinite in 1 of 2 values"),
        ([NAN, 1], [INF, 1], "is infinite in 1 of 2 values, where the reference is NaN in 1 of 2 values"),
    ],
)
def test_another_kind_of_what_is_not_finite_never_passes(expected, found, message):
    _, mismatch = compare_outputs({"prob": np.array(expected)}, {"prob": np.array(found)}, lane=1)

    assert mismatch == f"output 'prob' of lane 1 {message}"


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_nan_and_the_same_infinities_at_the_same_places_are_equal(dtype):
    values = np.array([NAN, INF, -INF, 0.5], dtype=dtype)

    assert compare_outputs({"prob": values}, {"prob": values.copy()}, lane=0) == (0.0, None)


def test_what_is_allowed_goes_by_the_finite_values_alone():
    expected = np.array([INF, 1.0], dtype=np.float32)

    _, allowed = compare_outputs({"prob": expected}, {"prob": np.array([INF, 1.0005])}, lane=0)
    difference, mismatch = compare_outputs({"prob": expected}, {"prob": np.array([INF, 1.5])}, lane=0)

    assert allowed is None
    assert difference == 0.5
    assert mismatch == "output 'prob' of lane 0 is off by 0.5 (allowed: 0.001)"


def test_the_largest_numbers_are_off_by_a_number_that_a_record_takes():
    largest = np.finfo(np.float64).max

    difference, mismatch = compare_outputs({"y": np.array([largest])}, {"y": np.array([-largest])}, lane=0)

    assert difference == largest
    assert mismatch is not None


def test_whole_numbers_and_truth_values_are_compared_too():
    reference = {"labels": np.array([1, 2]), "flags": np.array([True, False])}

    assert compare_outputs(reference, reference, lane=0) == (0.0, None)
    assert "'flags'" in compare_outputs(reference, reference | {"flags": np.array([True, True])}, lane=0)[1]


def test_another_shape_is_a_mismatch_and_not_an_error():
    _, mismatch = compare_outputs({"y": np.zeros((2, 3))}, {"y": np.zeros((2, 4))}, lane=2)

    assert mismatch == "output 'y' of lane 2 has the shape (2, 4), not (2, 3)"


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
    assert "within 0.001 of another runtime" in comparison.checked.reference


async def test_lanes_that_agree_with_each_other_but_not_with_another_runtime_are_a_mismatch():
    check = OutputCheck(lambda _: None, foreign=foreign([[0.5, 0.25]]))
    lane = Answers([[0.25, 0.5]])

    await check.learn(1, lane)

    assert "against another runtime" in check.compare(1, [lane]).mismatch


@pytest.mark.parametrize("ours", [[[INF, 0.25]], [[NAN, 0.25]]])
async def test_an_overflow_that_another_runtime_does_not_have_is_a_mismatch_that_says_so(ours):
    check = OutputCheck(lambda _: None, foreign=foreign([[70_000.0, 0.25]]))
    lane = Answers(ours)

    await check.learn(1, lane)

    kind = "infinite" if np.isinf(ours).any() else "NaN"
    assert f"is {kind} in 1 of 2 values, where another runtime is finite" in check.compare(1, [lane]).mismatch


async def test_what_is_not_finite_in_another_runtime_either_agrees_and_is_told():
    check = OutputCheck(lambda _: None, foreign=foreign([[INF, 0.25]]))
    lane = Answers([[INF, 0.25], [NAN, 0.5]])

    await check.learn(2, lane)
    comparison = check.compare(2, [lane])

    assert comparison.mismatch is None
    assert [note.code for note in comparison.notes] == ["not_finite_outputs"]
    assert comparison.notes[0].text == "output 'prob' is not finite (NaN in 1 and infinite in 1 of 4 values)"


async def test_finite_outputs_need_no_word():
    check = OutputCheck(lambda _: None)
    lane = Answers([[0.5]])

    await check.learn(1, lane)

    assert check.compare(1, [lane]).notes == ()


class Draws:
    """A lane whose outputs are others with every inference: from lists that end with what stays."""

    def __init__(self, index=0, **outputs):
        self.index = index
        self._outputs = outputs
        self.inferences = 0

    async def infer(self):
        self.inferences += 1

    def read_outputs(self):
        last = self.inferences - 1
        return {name: np.array(values[min(last, len(values) - 1)]) for name, values in self._outputs.items()}


def drawn(*outputs, kind="random", operator="RandomNormalLike"):
    return GraphFacts(**{kind: OutputsBehind(operators=(operator,), outputs=frozenset(outputs))})


async def ran(check, *lanes):
    """Learn from the first lane, run the others once, and compare all."""
    await check.learn(1, lanes[0])
    for lane in lanes[1:]:
        await lane.infer()
    return check.compare(1, lanes)


async def test_of_a_network_that_draws_random_numbers_only_shapes_are_compared():
    check = OutputCheck(lambda _: None, graph=drawn("y"))

    comparison = await ran(check, Draws(y=[[1.0], [2.0]]), Draws(1, y=[[3.0]]))

    assert comparison.mismatch is None
    assert comparison.checked.max_abs_difference is None
    assert comparison.checked.reference.startswith("the shapes alone")
    assert [note.code for note in comparison.notes] == ["random_outputs"]
    assert "gives other outputs for the same input: it has random operators (RandomNormalLike)" in (
        comparison.notes[0].text
    )


async def test_another_shape_of_a_random_output_is_a_mismatch():
    check = OutputCheck(lambda _: None, graph=drawn("y"))

    comparison = await ran(check, Draws(y=[[1.0], [2.0]]), Draws(1, y=[[3.0, 4.0]]))

    assert "'y' of lane 1 has the shape" in comparison.mismatch


async def test_outputs_that_no_random_operator_has_a_part_in_are_held_to_the_reference():
    check = OutputCheck(lambda _: None, graph=drawn("y"))

    comparison = await ran(check, Draws(y=[[1.0], [2.0]], z=[[1.0]]), Draws(1, y=[[3.0]], z=[[9.0]]))

    assert "'z' of lane 1 is off by 8" in comparison.mismatch


async def test_a_draw_that_came_out_alike_twice_is_still_a_draw():
    check = OutputCheck(lambda _: None, graph=drawn("y", operator="Bernoulli"))

    comparison = await ran(check, Draws(y=[[0.0]]), Draws(1, y=[[1.0]]))

    assert comparison.mismatch is None
    assert "it has random operators (Bernoulli)" in comparison.notes[0].text


async def test_random_operators_that_change_nothing_are_not_worth_a_word():
    check = OutputCheck(lambda _: None, graph=drawn("y"))

    comparison = await ran(check, Draws(y=[[1.0]]), Draws(1, y=[[1.0]]))

    assert (comparison.mismatch, comparison.notes, comparison.checked.max_abs_difference) == (None, (), 0.0)


async def test_an_operator_that_nobody_knows_may_be_random():
    check = OutputCheck(lambda _: None, graph=drawn("y", kind="foreign", operator="own.Sample"))

    comparison = await ran(check, Draws(y=[[1.0], [2.0]]), Draws(1, y=[[3.0]]))

    assert comparison.mismatch is None
    assert "it may have random operators (own.Sample)" in comparison.notes[0].text


@pytest.mark.parametrize("second", [[1.0], [1.0 + 1e-6]])
async def test_an_operator_that_nobody_knows_and_that_repeats_itself_up_to_rounding_is_held_to_the_reference(second):
    check = OutputCheck(lambda _: None, graph=drawn("y", kind="foreign", operator="own.Sample"))

    comparison = await ran(check, Draws(y=[[1.0], second]), Draws(1, y=[[3.0]]))

    assert "'y' of lane 1 is off by 2" in comparison.mismatch
    assert comparison.notes == ()


async def test_without_random_operators_a_lane_is_asked_once_and_what_differs_is_a_mismatch():
    check = OutputCheck(lambda _: None)
    first = Draws(y=[[1.0], [2.0]])

    comparison = await ran(check, first, Draws(1, y=[[2.0]]))

    assert first.inferences == 1
    assert "'y' of lane 1 is off by 1" in comparison.mismatch


async def test_random_outputs_are_not_held_to_another_runtime():
    check = OutputCheck(lambda _: None, foreign=foreign([[5.0]]), graph=drawn("prob"))
    lane = Draws(prob=[[[1.0]], [[2.0]]])

    comparison = await ran(check, lane)

    assert comparison.mismatch is None
