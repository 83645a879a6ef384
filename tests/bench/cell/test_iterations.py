"""Cells of a fixed number of inferences: exactly that many count, at the rate of lanes that are never idle."""

from __future__ import annotations

import iterations_against_theory as benchmark_script  # what writes the table of docs/statistics.md
import pytest

from asyncbench.sweep.cell import Driver


@pytest.mark.parametrize("driver", list(Driver))
@pytest.mark.parametrize("concurrency", [1, 2, 4, 16])
@pytest.mark.parametrize("iterations", [1, 50, 2_000])
@pytest.mark.parametrize("device", [{"service_us": 140, "slots": 64}, {"service_us": 20_000, "slots": 3}])
def test_throughput_is_what_theory_says_of_a_constant_service_time(driver, concurrency, iterations, device):
    cell = device | {"concurrency": concurrency}

    window = benchmark_script.measured(driver, iterations=iterations, **cell)

    assert window.n == iterations
    assert window.inferences_per_s == pytest.approx(benchmark_script.theory_per_s(**cell), rel=0.001)
    assert window.inferences_per_s == pytest.approx(iterations * 1e9 / window.window_ns)
    assert window.mean_in_flight == pytest.approx(concurrency)


@pytest.mark.parametrize("driver", list(Driver))
@pytest.mark.parametrize("iterations", [1, 3, 50])
def test_without_a_warm_up_the_window_begins_with_the_first_inference(driver, iterations):
    cell = {"concurrency": 4, "service_us": 1_000, "slots": 64}

    window = benchmark_script.measured(driver, iterations=iterations, warmup_ns=0, **cell)

    assert window.n == iterations
    assert window.inferences_per_s == pytest.approx(benchmark_script.theory_per_s(**cell), rel=0.001)


@pytest.mark.parametrize("service_us", [1, 4])
def test_lanes_of_a_very_fast_network_are_never_without_credits(service_us):
    cell = {"concurrency": 2, "service_us": service_us, "slots": 2}

    window = benchmark_script.measured(Driver.PUMP, iterations=100_000, **cell)

    assert window.mean_in_flight == pytest.approx(2)
    assert window.inferences_per_s == pytest.approx(benchmark_script.theory_per_s(**cell), rel=0.001)
