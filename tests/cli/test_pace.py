"""Time left."""

from asyncbench.cli.show.pace import Pace


def test_nothing_is_promised_before_the_first_cell_has_ended():
    assert Pace(total=10, resumed=4, ended=0, elapsed_ns=5).left_ns is None


def test_the_cells_left_take_as_long_as_those_of_this_run_took():
    assert Pace(total=10, resumed=4, ended=2, elapsed_ns=6_000).left_ns == 12_000
