from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncbench.results.latency import Latency, LatencyBlock, PercentileValue
from asyncbench.results.status import Status
from asyncbench.results.summary import best_throughput, best_under_latency_limit, count_statuses, knee
from asyncbench.sweep.latency_limit import LatencyLimit


def p99_within(limit_ns):
    return LatencyLimit(percentile="p99", limit_ns=limit_ns)


def block(**values_ns):
    percentiles = {
        name.replace("_", "."): PercentileValue(value_ns=value, low_ns=value, high_ns=value)
        for name, value in values_ns.items()
    }
    return LatencyBlock(n=1_000, min_ns=1, mean_ns=1.0, max_ns=10**9, percentiles=percentiles, missing={})


@pytest.fixture(scope="session")
def measured(make_cell):
    def make(index, items_s, *, concurrency=1, batch=1, status=Status.MEASURED, response=None, **percentiles_ns):
        latency = Latency(service=block(**percentiles_ns), response=response)
        shape = {"concurrency": concurrency, "batch": batch, "throughput_items_s": items_s}
        return make_cell(index, status=status, latency=latency, **shape)

    return make


@pytest.mark.parametrize(
    "find", [best_throughput, knee, lambda cells: best_under_latency_limit(cells, p99_within(10**9))]
)
@pytest.mark.parametrize("status", [Status.INVALID, Status.DOES_NOT_FIT, Status.INTERRUPTED, Status.ERROR])
def test_cells_without_a_figure_never_stand_out(find, status, measured, make_cell):
    assert find([measured(0, 100.0, status=status, p99=1), make_cell(1)]) is None
    assert find([]) is None


def test_the_fastest_cell_is_named_with_its_axes(measured):
    cells = [
        measured(0, 100.0),
        measured(1, 300.0, concurrency=4, batch=2, status=Status.IMPRECISE),
        measured(2, 200.0),
    ]

    best = best_throughput(cells)

    assert (best.index, best.concurrency, best.batch, best.throughput_items_s) == (1, 4, 2, 300.0)


def test_of_equally_fast_cells_the_first_of_the_grid_is_named(measured):
    assert best_throughput([measured(2, 5.0), measured(1, 5.0), measured(3, 5.0)]).index == 1


def test_the_fastest_cell_within_the_limit_is_named_and_the_limit_counts_as_within(measured):
    cells = [measured(0, 100.0, p99=10), measured(1, 200.0, p99=20), measured(2, 300.0, p99=21)]

    best = best_under_latency_limit(cells, p99_within(20))

    assert (best.index, best.percentile, best.latency_ns, best.latency_limit_ns) == (1, "p99", 20, 20)


def test_the_knee_is_the_fewest_items_in_flight_that_reach_95_percent(measured):
    cells = [
        measured(0, 94.9),
        measured(1, 95.0, concurrency=2, batch=2),
        measured(2, 99.0, concurrency=4, batch=2),
        measured(3, 100.0, concurrency=8, batch=8),
    ]

    assert knee(cells).index == 1


def test_of_knees_with_equally_many_items_the_one_with_the_lowest_median_is_named(measured):
    cells = [
        measured(0, 99.0, concurrency=4, batch=1, p50=30),
        measured(1, 100.0, concurrency=2, batch=2, p50=20),
        measured(2, 98.0, concurrency=1, batch=4, p50=20),
        measured(3, 97.0, concurrency=1, batch=4),
    ]

    assert knee(cells).index == 1


@given(data=st.data())
def test_no_cell_with_fewer_items_than_the_knee_reaches_its_threshold(measured, data):
    shapes = st.tuples(st.integers(1, 8), st.integers(1, 8), st.floats(0, 1e6))
    drawn = data.draw(st.lists(shapes, min_size=1, max_size=12))
    cells = [measured(index, speed, concurrency=c, batch=b) for index, (c, b, speed) in enumerate(drawn)]

    found = knee(cells)

    threshold = 0.95 * best_throughput(cells).throughput_items_s
    assert found.throughput_items_s >= threshold
    assert found.concurrency * found.batch == min(c * b for c, b, speed in drawn if speed >= threshold)


def test_statuses_are_counted_and_none_is_left_out(make_cell):
    counts = count_statuses([make_cell(0), make_cell(1), make_cell(2, status=Status.ERROR)])

    assert counts == {status: {Status.MEASURED: 2, Status.ERROR: 1}.get(status, 0) for status in Status}
