"""What is put into a record of a cell after it was made."""

from __future__ import annotations

import pytest

from asyncbench.errors import AsyncbenchError, DoesNotFitError, InternalError, LimitError
from asyncbench.results.cell_parts import LaneChange, Reason
from asyncbench.results.status import ReasonCode, Status, reason_code_of

FIRST = Reason(code=ReasonCode.NOT_STEADY, text="the first")
RETRIED = Reason(code=ReasonCode.RETRIED, text="the second")


def test_a_reason_comes_last_and_a_fact_that_the_record_has_stays(make_cell):
    record = make_cell(reasons=[FIRST], facts={"signal": 9})

    annotated = record.annotate(RETRIED, facts={"signal": 6, "exit_code": 1})

    assert annotated.reasons == [FIRST, RETRIED]
    assert annotated.facts == {"signal": 9, "exit_code": 1}
    assert annotated.status is record.status
    assert record.reasons == [FIRST]


def test_a_status_changes_where_it_is_given(make_cell):
    assert make_cell().annotate(RETRIED, facts={}, status=Status.ERROR).status is Status.ERROR


def test_the_time_of_a_lane_change_is_counted_from_the_opening_of_the_window():
    change = LaneChange(at_ns=1_000, lanes=2, limited_by="host", free_bytes=5)

    assert change.since(1_200) == LaneChange(at_ns=-200, lanes=2, limited_by="host", free_bytes=5)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (InternalError("x"), ReasonCode.INTERNAL_ERROR),
        (DoesNotFitError("x"), ReasonCode.MEMORY),
        (LimitError("x"), ReasonCode.LIMIT),
        (AsyncbenchError("x"), ReasonCode.LANE_FAILED),
    ],
)
def test_an_error_has_the_same_code_wherever_it_comes_from_or_that_of_the_place(error, code):
    assert reason_code_of(error, otherwise=ReasonCode.LANE_FAILED) is code
