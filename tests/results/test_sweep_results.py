"""Results as values: what stands out, tables, and what is refused."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import pytest

from asyncbench.errors import BackendUnavailableError, BadInputError
from asyncbench.results.latency import Latency, LatencyBlock, PercentileValue
from asyncbench.results.sweep_results import SweepResults
from asyncbench.testing import cell_record


def cell(index, *, items_s, p99_ns, model="resnet50", concurrency=1):
    p99 = PercentileValue(value_ns=p99_ns, low_ns=p99_ns, high_ns=p99_ns)
    service = LatencyBlock(n=1000, min_ns=1, mean_ns=float(p99_ns), max_ns=p99_ns, percentiles={"p99": p99}, missing={})
    latency = Latency(service=service)
    return cell_record(index, model=model, concurrency=concurrency, throughput_items_s=items_s, latency=latency)


@pytest.fixture
def results():
    cells = (
        cell(0, items_s=100.0, p99_ns=10_000_000, concurrency=1),
        cell(1, items_s=196.0, p99_ns=15_000_000, concurrency=2),
        cell(2, items_s=200.0, p99_ns=30_000_000, concurrency=4),
    )
    return SweepResults(header=None, cells=cells)


def test_the_best_cell_is_the_fastest_or_the_fastest_below_a_limit(results):
    assert results.best().index == 2
    assert results.best(latency_limit="20ms").index == 1
    assert results.best(latency_limit="p99=1ms") is None


def test_the_knee_has_the_fewest_items_in_flight_for_nearly_all_of_the_speed(results):
    assert results.knee().index == 1


def test_nothing_stands_out_where_nothing_was_measured():
    empty = SweepResults(header=None)

    assert (empty.best(), empty.knee(), empty.to_dicts()) == (None, None, [])


def test_a_limit_that_is_none_is_refused(results):
    with pytest.raises(BadInputError, match="not a duration"):
        results.best(latency_limit="fast")


def test_cells_of_several_networks_are_only_compared_once_one_is_chosen(results):
    both = SweepResults(header=None, cells=(*results.cells, cell(3, items_s=900.0, p99_ns=1, model="mobilenet")))

    with pytest.raises(BadInputError, match="several networks") as refused:
        both.best()
    assert "of_model" in refused.value.remedy
    assert both.of_model("resnet50").best().index == 2
    with pytest.raises(BadInputError, match="no cell is of 'vgg'"):
        both.of_model("vgg")


def test_a_row_names_every_value_by_its_path_in_the_record(results):
    row = results.to_dicts()[1]

    assert row["concurrency"] == 2
    assert row["status"] == "measured"
    assert row["latency.service.percentiles.p99.value_ns"] == 15_000_000
    assert row["memory.resident_lanes"] is None


def test_pandas_gets_the_rows_where_it_is_installed(results, monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", SimpleNamespace(DataFrame=lambda rows: ("frame", rows)))

    assert results.to_pandas() == ("frame", results.to_dicts())


def test_without_pandas_the_remedy_says_so(results, monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", None)

    with pytest.raises(BackendUnavailableError) as refused:
        results.to_pandas()

    assert "install pandas" in refused.value.remedy
