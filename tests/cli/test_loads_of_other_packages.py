"""Loads that are no part of asyncbench: real sweeps with a package that offers one by an entry point."""

from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

STEADY_LOAD = Path(__file__).parents[1] / "packages" / "steady_load.py"
NOT_IN_THE_SUPERVISOR = """
import sys
if "asyncbench.supervisor.supervisor" in sys.modules:
    raise ImportError("the supervisor needs no load's code")
"""
SERVICE_MS, EVERY_MS = 4, 2
# The second cell kills the process of its first try, and that of the second one on half the lanes.
KILLED = [{"at": 5, "kind": "kill", "batch": 2, "concurrency": lanes} for lanes in (2, 1)]
GRID = {
    "concurrency": 2,
    "batch": "1,2",
    "duration": "0.2s",
    "warmup": "none",
    "seed": 7,
    "simulated": {"service": {"kind": "constant", "median": f"{SERVICE_MS}ms"}, "faults": KILLED},
}


@pytest.fixture(scope="module")
def steady(make_tool, tmp_path_factory):
    """A tool beside whose asyncbench a package is installed that offers the load `steady`."""
    tool = make_tool(tmp_path_factory.mktemp("steady"))
    tool.install(
        "steady_load",
        group="asyncbench.loads",
        entry_points={"steady": "steady_load:LOAD"},
        modules={"steady_load": NOT_IN_THE_SUPERVISOR + STEADY_LOAD.read_text()},
    )
    return tool


@pytest.fixture(scope="module")
def swept(steady):
    """The records of a sweep with that load, named by the flag, with options out of the configuration."""
    config = steady.write_config(**GRID, load={"kind": "steady", "every_ms": EVERY_MS})
    steady.run("sweep", "--config", config, "--load", "steady", "--output", "out.jsonl", check_code=3)
    return steady.records()


def test_a_sweep_runs_with_a_load_of_another_package(swept):
    header, cell, _, _ = swept

    assert header["config"][0]["load"] == {"kind": "steady", "every_ms": EVERY_MS}
    assert (cell["load"], cell["status"]) == ("steady", "measured")
    assert cell["load_statistics"].pop("started") >= cell["n"] > 1
    assert cell["load_statistics"] == {"every_ms": EVERY_MS, "seed": 7}


def test_waits_and_responses_count_from_the_instants_that_the_load_intended(swept):
    _, cell, _, _ = swept

    service, wait, response = (cell["latency"][kind] for kind in ("service", "wait", "response"))
    assert service["n"] == wait["n"] == response["n"] == cell["n"]
    assert response["mean_ns"] == pytest.approx(service["mean_ns"] + wait["mean_ns"])
    # Served one after the other, and wanted faster than that: each waits so much longer than the one before.
    assert wait["max_ns"] >= (cell["n"] - 1) * (SERVICE_MS - EVERY_MS) * 1e6


def test_lanes_that_the_load_leaves_idle_are_not_held_against_the_runner(swept):
    _, cell, _, _ = swept

    assert not {"runner_bound", "low_concurrency", "canary_mismatch"} & {one["code"] for one in cell["reasons"]}
    assert cell["runner_ns_per_inference"] is None
    assert cell["outputs_checked"]["lanes"] == 2


def test_a_cell_that_its_process_died_of_names_the_load_and_has_no_statistics(swept):
    _, _, killed, _ = swept

    assert (killed["status"], killed["load"], killed["load_statistics"]) == ("error", "steady", {})


def test_a_sweep_is_not_gone_on_with_under_another_load(steady, swept):
    done = steady.run(
        *("sweep", "--config", steady.write_config(**GRID), "--output", "out.jsonl", "--resume"), check_code=2
    )

    assert f'load was {{"kind": "steady", "every_ms": {EVERY_MS}}}, now it is "closed"' in done.stderr


def test_a_dry_run_names_the_load(steady):
    done = steady.run("sweep", "--config", steady.write_config(**GRID), "--load", "steady", "--dry-run")

    assert "load steady, driver pump" in done.stdout + done.stderr


def test_a_load_that_does_not_exist_is_refused_in_one_line_before_anything_is_written(steady):
    config = steady.write_config(**GRID)

    done = steady.run("sweep", "--config", config, "--load", "stead", "--output", "none.jsonl", check_code=2)

    assert done.stderr.splitlines()[-1] == (
        'asyncbench: there is no load "stead": did you mean steady? choose closed, steady'
    )
    assert not (steady.folder / "none.jsonl").exists()
