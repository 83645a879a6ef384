"""Time left."""

import pytest

from asyncbench.cli.show.pace import Pace
from asyncbench.clock import NS_PER_S


def test_nothing_is_promised_before_the_first_cell_has_ended():
    assert Pace(total=10, resumed=4, ended=0, elapsed_ns=5).left_ns is None


def test_the_cells_left_take_as_long_as_those_of_this_run_took():
    assert Pace(total=10, resumed=4, ended=2, elapsed_ns=6_000).left_ns == 12_000


@pytest.mark.parametrize(
    ("left_ns", "text"),
    [
        (747_000, "less than a second left"),
        (999_999_999, "less than a second left"),
        (NS_PER_S, "1 s left"),
        (6_330_000_000, "6 s left"),
        (119 * NS_PER_S, "119 s left"),
        (200 * NS_PER_S, "3m 20s left"),
        (7_300 * NS_PER_S, "2h 01m left"),
    ],
)
def test_time_left_is_told_in_whole_seconds(left_ns, text):
    assert Pace(total=2, resumed=0, ended=1, elapsed_ns=left_ns).left_text == text


@pytest.mark.parametrize(("ended", "total"), [(0, 2), (2, 2)])
def test_before_the_first_cell_and_after_the_last_nothing_is_said_to_be_left(ended, total):
    assert Pace(total=total, resumed=0, ended=ended, elapsed_ns=NS_PER_S).left_text is None
