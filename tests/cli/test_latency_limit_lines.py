"""What people are told of a latency limit."""

from __future__ import annotations

import pytest

from asyncbench.cli.show.latency_limit import advised_duration, latency_limit_lines
from asyncbench.errors import ExitCode
from asyncbench.results.latency import Latency, LatencyBlock, MissingValue, PercentileValue
from asyncbench.results.status import Status
from asyncbench.supervisor.trailer import make_trailer
from asyncbench.sweep.latency_limit import LatencyLimit
from asyncbench.testing import cell_record

MS = 1_000_000
S = 1_000_000_000
LIMIT = LatencyLimit(percentile="p99", limit_ns=20 * MS)


def cell(index, *, p99_ms=None, needs_more=None, min_ms=1, n=1_000, window_ns=S, **changes):
    """Return a measured cell whose p99 is (low, value, high), or lacks inferences."""
    found = {"p99": p99_ms} if p99_ms else {}
    service = LatencyBlock(
        n=n,
        min_ns=min_ms * MS,
        mean_ns=1.0,
        max_ns=10**12,
        percentiles={
            name: PercentileValue(low_ns=low * MS, value_ns=value * MS, high_ns=high * MS)
            for name, (low, value, high) in found.items()
        },
        missing={"p99": MissingValue(needs_more=needs_more)} if needs_more else {},
    )
    values = {"n": n, "window_ns": window_ns, "concurrency": index + 1, "throughput_items_s": 100.0 * (index + 1)}
    return cell_record(index, latency=Latency(service=service), **(values | changes))


def lines(*cells, limit=LIMIT):
    trailer = make_trailer(cells, sweep_id="a", exit_code=ExitCode.OK, duration_ns=1, latency_limit=limit)
    return latency_limit_lines(cells, trailer)


def test_nothing_is_said_where_no_limit_was_asked_for():
    assert lines(cell(0, p99_ms=(9, 10, 11)), limit=None) == []


def test_the_best_cell_is_named_with_the_percentile_and_its_upper_bound():
    (best,) = lines(cell(0, p99_ms=(9, 10, 11)), cell(1, p99_ms=(15, 18, 19)))

    assert best == (
        "best with p99 <= 20.0 ms:      200 items/s at fp32 batch=1 concurrency=2; its p99 is 18.0 ms, "
        "19.0 ms at the upper end of its 95 % interval"
    )


def test_where_no_cell_stays_below_the_lowest_latency_and_its_cell_are_named():
    assert lines(cell(0, p99_ms=(40, 41, 42)), cell(1, p99_ms=(39, 40, 41))) == [
        "no cell stays below 20.0 ms: the lowest p99 is 40.0 ms at batch=1 concurrency=2"
    ]


def test_cells_that_are_too_short_are_named_with_the_inferences_they_lack_and_the_duration_that_would_do():
    cells = [cell(index, n=145, needs_more=517 - index, window_ns=S) for index in range(5)]

    first, second = lines(*cells)

    assert first == (
        "no cell is known to stay below 20.0 ms: the shortest inference took 1.00 ms at batch=1 concurrency=1"
    )
    assert second == (
        "5 cells are undecided (fp32 b=1 c=1, fp32 b=1 c=2, fp32 b=1 c=3 and 2 more): their p99 needs up to 517 more "
        "inferences; --duration 6s would do"
    )


def test_a_cell_whose_interval_holds_the_limit_is_named_beside_the_best():
    best, undecided = lines(cell(0, p99_ms=(9, 10, 11)), cell(1, p99_ms=(10, 16, 24)))

    assert best.startswith("best with p99 <= 20.0 ms:")
    assert undecided == (
        "1 cell is undecided (fp32 b=1 c=2): the 95 % interval of its p99 reaches from below 20.0 ms to above; "
        "--duration 5s would do"
    )


def test_nobody_is_told_to_measure_one_cell_for_more_than_ten_minutes():
    slow = cell(0, n=5, needs_more=657, window_ns=50 * S)
    close = cell(1, p99_ms=(19, 20, 21))

    said = lines(slow, close)

    assert said[1].endswith("that would take more than 10 minutes: leave it, or ask for a lower percentile")
    assert said[2].endswith("that is too close to tell within 10 minutes")
    assert "--duration" not in " ".join(said)


def test_what_would_do_for_some_is_said_beside_what_the_others_would_take():
    said = lines(cell(0, n=5, needs_more=657, window_ns=50 * S), cell(1, n=331, needs_more=331, window_ns=S))

    assert said[1].endswith(
        "of 1 of them that would take more than 10 minutes: leave it, or ask for a lower percentile; "
        "--duration 3s would do for the others"
    )


def test_where_no_cell_has_a_latency_that_is_said():
    assert lines(cell(0, p99_ms=(9, 10, 11), status=Status.ERROR)) == [
        "no cell has a latency to hold against p99 <= 20.0 ms"
    ]


@pytest.mark.parametrize(
    ("window_ns", "advice"),
    [(1, "1s"), (2 * S, "3s"), (100 * S, "110s"), (110 * S, "130s"), (560 * S, None), (None, None)],
)
def test_advised_durations_are_a_little_longer_than_needed_and_round(window_ns, advice):
    assert advised_duration(window_ns) == advice
