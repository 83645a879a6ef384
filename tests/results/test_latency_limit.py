"""Which cells stay below a latency limit, and what would decide those that cannot be told."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncbench.results.latency import Latency, LatencyBlock, MissingValue, PercentileValue
from asyncbench.results.latency_limit import Standing, sort_by_limit, standing_of
from asyncbench.results.status import Status
from asyncbench.results.summary import best_under_latency_limit
from asyncbench.sweep.latency_limit import LatencyLimit

MS = 1_000_000
P99_20MS = LatencyLimit(percentile="p99", limit_ns=20 * MS)


def block(*, n=1_000, min_ms=1, missing=None, **percentiles_ms):
    """Return a block of percentiles, each as (low, value, high)."""
    found = {
        name.replace("_", "."): PercentileValue(low_ns=low * MS, value_ns=value * MS, high_ns=high * MS)
        for name, (low, value, high) in percentiles_ms.items()
    }
    lacking = {name: MissingValue(needs_more=more) for name, more in (missing or {}).items()}
    return LatencyBlock(n=n, min_ns=min_ms * MS, mean_ns=1.0 * MS, max_ns=10**12, percentiles=found, missing=lacking)


@pytest.fixture(scope="session")
def cell(make_cell):
    def make(service, *, index=0, items_s=100.0, response=None, **changes):
        values = {"n": service.n, "window_ns": 1_000 * MS, "throughput_items_s": items_s}
        return make_cell(index, latency=Latency(service=service, response=response), **(values | changes))

    return make


@pytest.mark.parametrize(
    ("p99_ms", "standing"),
    [
        ((15, 18, 20), Standing.BELOW),
        ((15, 18, 21), Standing.UNDECIDED),
        ((20, 22, 25), Standing.UNDECIDED),
        ((21, 22, 25), Standing.ABOVE),
    ],
)
def test_the_end_of_the_interval_that_speaks_against_the_answer_counts(cell, p99_ms, standing):
    assert standing_of(cell(block(p99=p99_ms)), P99_20MS) is standing


def test_a_lower_percentile_does_not_stand_in_for_the_one_that_was_asked_for(cell):
    short = cell(block(n=130, p50=(3, 4, 5), p95=(4, 5, 6), missing={"p99": 532}))

    assert standing_of(short, P99_20MS) is Standing.UNDECIDED
    assert best_under_latency_limit([short], P99_20MS) is None


def test_a_higher_percentile_is_not_asked(cell):
    assert standing_of(cell(block(p99=(9, 10, 11), p99_9=(900, 1000, 1100))), P99_20MS) is Standing.BELOW


def test_a_lower_percentile_above_the_limit_shows_that_the_one_asked_for_is_too(cell):
    short = cell(block(n=130, p50=(30, 31, 32), missing={"p99": 532}))

    assert standing_of(short, P99_20MS) is Standing.ABOVE


@pytest.mark.parametrize(("n", "standing"), [(1, Standing.ABOVE), (0, Standing.UNDECIDED)])
def test_inferences_that_all_took_longer_show_it_however_few(cell, n, standing):
    slow = cell(block(n=n, min_ms=60_000, missing={"p99": 662 - n}))

    assert standing_of(slow, P99_20MS) is standing


@pytest.mark.parametrize(("n", "standing"), [(5, Standing.UNDECIDED), (6, Standing.ABOVE)])
def test_of_a_median_it_takes_six_of_them(cell, n, standing):
    limit = LatencyLimit(percentile="p50", limit_ns=20 * MS)

    assert standing_of(cell(block(n=n, min_ms=30, missing={"p50": 6})), limit) is standing


def test_waiting_for_a_lane_counts(cell):
    waited = cell(block(p99=(9, 10, 11)), response=block(p99=(28, 30, 31)))

    assert standing_of(waited, P99_20MS) is Standing.ABOVE


def test_what_a_missing_percentile_takes_is_inferences_and_a_window_of_as_many(cell):
    (undecided,) = sort_by_limit([cell(block(n=145, missing={"p99": 517}))], P99_20MS).undecided

    assert undecided.more_inferences == 517
    assert undecided.window_ns == pytest.approx(1_000 * MS * 662 / 145)


@pytest.mark.parametrize(("p99_ms", "factor"), [((10, 16, 24), 4), ((12, 24, 40), 9), ((10, 18, 21), 2.25)])
def test_an_interval_over_the_limit_takes_a_window_that_makes_it_narrow_enough(cell, p99_ms, factor):
    low, value, high = p99_ms
    (undecided,) = sort_by_limit([cell(block(p99=(low, value, high)))], P99_20MS).undecided

    assert undecided.more_inferences is None
    assert undecided.window_ns == pytest.approx(1_000 * MS * factor)


def test_a_value_that_is_the_limit_itself_is_decided_by_no_window(cell):
    (undecided,) = sort_by_limit([cell(block(p99=(19, 20, 21)))], P99_20MS).undecided

    assert undecided.window_ns is None


@pytest.mark.parametrize("status", [Status.INVALID, Status.ERROR, Status.INTERRUPTED, Status.DOES_NOT_FIT])
def test_cells_without_a_figure_are_not_sorted(cell, status):
    stand = sort_by_limit([cell(block(p99=(9, 10, 11)), status=status)], P99_20MS)

    assert (stand.below, stand.above, stand.undecided) == ([], [], [])


def test_the_best_is_the_fastest_of_those_that_surely_stay_below(cell):
    cells = [
        cell(block(p99=(9, 10, 11)), index=0, items_s=100.0),
        cell(block(p99=(15, 18, 20)), index=1, items_s=200.0),
        cell(block(p99=(15, 18, 21)), index=2, items_s=300.0),
    ]

    best = best_under_latency_limit(cells, P99_20MS)

    assert (best.index, best.percentile) == (1, "p99")
    assert (best.latency_ns, best.latency_high_ns, best.latency_limit_ns) == (18 * MS, 20 * MS, 20 * MS)


@given(
    spread=st.lists(st.integers(1, 60), min_size=3, max_size=3).map(sorted),
    limit_ms=st.integers(1, 60),
    name=st.sampled_from(["p50", "p99", "p99.9"]),
)
def test_every_cell_stands_in_exactly_one_place_and_undecided_only_where_the_limit_is_in_the_interval(
    cell, spread, limit_ms, name
):
    one = cell(block(**{name.replace(".", "_"): tuple(spread)}))

    stand = sort_by_limit([one], LatencyLimit(percentile=name, limit_ns=limit_ms * MS))

    assert len(stand.below) + len(stand.above) + len(stand.undecided) == 1
    assert bool(stand.undecided) == (spread[0] <= limit_ms < spread[2])
