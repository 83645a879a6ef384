from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from asyncbench.backends.tensorrt.build.progress import ProgressTree

NAMES = st.sampled_from(["build", "tune", "time", "store"])
EVENTS = st.one_of(
    st.tuples(st.just("start"), NAMES, st.integers(0, 5)),
    st.tuples(st.just("step"), NAMES, st.integers(0, 9)),
    st.tuples(st.just("finish"), NAMES, st.just(0)),
)
PARENTS = {"build": None, "tune": "build", "time": "tune", "store": "build"}


def test_a_step_of_a_phase_inside_counts_for_its_share():
    tree = ProgressTree()
    tree.start("build", None, 4)
    tree.step("build", 0)
    tree.start("tune", "build", 2)

    tree.step("tune", 0)

    assert tree.done_ratio() == (1 + 1 / 2) / 4


def test_the_end_of_the_outermost_phase_is_the_end():
    tree = ProgressTree()
    tree.start("build", None, 4)

    tree.finish("build")

    assert tree.done_ratio() == 1.0


@given(st.lists(EVENTS, max_size=40))
def test_the_ratio_never_falls_and_stays_within_bounds_whatever_is_reported(events):
    tree = ProgressTree()
    ratios = [0.0]

    for kind, name, number in events:
        if kind == "start":
            tree.start(name, PARENTS[name], number)
        elif kind == "step":
            tree.step(name, number)
        else:
            tree.finish(name)
        ratios.append(tree.done_ratio())

    assert ratios == sorted(ratios)
    assert ratios[-1] <= 1.0
