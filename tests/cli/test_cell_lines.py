"""The line of a cell that ended, and what the summary says of imprecise cells."""

from __future__ import annotations

import pytest

from asyncbench.cli.show.reason_words import reason_words
from asyncbench.cli.show.summary import summary_lines
from asyncbench.cli.show.text import cell_line, percentile_text, throughput_text
from asyncbench.errors import ExitCode
from asyncbench.results.cell_parts import Reason
from asyncbench.results.latency import Latency, LatencyBlock, MissingValue, PercentileValue
from asyncbench.results.status import ReasonCode, Status
from asyncbench.supervisor.trailer import make_trailer
from asyncbench.testing import cell_record, header_record


def block(p99_needs):
    return LatencyBlock(
        n=145,
        min_ns=1,
        mean_ns=1.0,
        max_ns=1,
        percentiles={"p50": PercentileValue(value_ns=5_000_000, low_ns=5_000_000, high_ns=5_000_000)},
        missing={"p99": MissingValue(needs_more=p99_needs)},
    )


def cell(*reasons, index=0, status=Status.IMPRECISE):
    return cell_record(
        index,
        status=status,
        reasons=[Reason(code=code, text=f"the text of {code}") for code in reasons],
        throughput_items_s=145.0,
        latency=Latency(service=block(517)),
    )


def summary(*cells):
    header = header_record(cells=len(cells))
    trailer = make_trailer(cells, sweep_id="s", exit_code=ExitCode.OK, duration_ns=1, latency_limit=None)
    return summary_lines(header, {record.index: record for record in cells}, trailer)


@pytest.mark.parametrize(("needs", "text"), [(517, "p99 needs 517 more inferences"), (1, "p99 needs 1 more inference")])
def test_a_percentile_that_is_missing_says_what_it_needs(needs, text):
    assert percentile_text(block(needs), "p99") == text


def test_a_percentile_that_is_there_is_shown_with_its_name():
    assert percentile_text(block(1), "p50") == "p50 5.00 ms"
    assert percentile_text(None, "p50") == "p50 -"


def test_a_cell_says_in_plain_words_what_its_figures_lack():
    line = cell_line(cell(ReasonCode.FEW_PER_LANE, ReasonCode.NOT_STEADY), total=3)

    assert line.endswith("  p99 needs 517 more inferences  imprecise  (few inferences, not known to be steady)")


def test_a_cell_that_failed_says_its_whole_reason():
    assert cell_line(cell(ReasonCode.STOOD_STILL, status=Status.INVALID), total=3).endswith("the text of stood_still")


@pytest.mark.parametrize("code", ReasonCode)
def test_no_code_is_shown_to_people(code):
    words = reason_words([Reason(code=code, text="")])

    assert words
    assert "_" not in words


def test_a_code_of_tomorrow_is_shown_without_its_underscores_and_none_twice():
    assert reason_words([Reason(code="of_tomorrow", text=""), Reason(code="of_tomorrow", text="")]) == "of tomorrow"


@pytest.mark.parametrize("code", [ReasonCode.TIME_LIMIT, ReasonCode.OUT_OF_REACH, ReasonCode.FEW_PER_LANE])
def test_a_longer_window_is_advised_where_it_helps(code):
    (line,) = [line for line in summary(cell(code)) if line.startswith("imprecise:")]

    assert line == f"imprecise:             1 cell; --duration measures longer. the text of {code}"


@pytest.mark.parametrize("code", [ReasonCode.DRIFT, ReasonCode.CPU_THROTTLED, ReasonCode.STOOD_STILL])
def test_and_not_where_it_does_not(code):
    (line,) = [line for line in summary(cell(code), cell(code, index=1)) if line.startswith("imprecise:")]

    assert line == f"imprecise:             2 cells. The last: the text of {code}"


@pytest.mark.parametrize(
    ("items_s", "text"), [(None, "-"), (1e-6, "less than 0.0001"), (7.314, "7.31"), (1e6, "1,000,000")]
)
def test_a_throughput_never_has_an_exponent(items_s, text):
    assert throughput_text(items_s) == text
