from __future__ import annotations

from asyncbench.supervisor.failed_opens import AfterFailedOpen, FailedOpens


def outcomes(count, *, was_open_before=True):
    opens = FailedOpens()
    return [opens.failed(was_open_before=was_open_before) for _ in range(count)]


def test_an_engine_that_was_never_open_is_not_tried_again():
    assert outcomes(1, was_open_before=False) == [AfterFailedOpen.REFUSE]


def test_every_third_death_in_a_row_costs_one_cell_and_the_twelfth_the_engine():
    found = outcomes(12)

    charged = [number for number, each in enumerate(found, start=1) if each is AfterFailedOpen.CHARGE_A_CELL]
    assert charged == [3, 6, 9]
    assert found[11] is AfterFailedOpen.REFUSE
    assert set(found) == set(AfterFailedOpen)


def test_an_engine_that_opens_in_between_clears_the_account():
    opens = FailedOpens()

    for _ in range(20):
        first, second = (opens.failed(was_open_before=True) for _ in range(2))
        opens.succeeded()

        assert first is second is AfterFailedOpen.OPEN_AGAIN
