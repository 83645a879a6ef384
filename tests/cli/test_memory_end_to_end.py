"""Memory that is short, as a user of the command line meets it: real processes, a simulated device."""

from __future__ import annotations

import json
import os
import signal

import pytest

pytestmark = pytest.mark.slow

# Beside the engine and a reserve of 1 MiB there are 36 MiB: a lane of batch 1 takes 12 MiB, of batch 2 14 MiB,
# of batch 16 42 MiB.
SMALL = {"memory": "101MiB", "engine_bytes": "64MiB", "lane_bytes": "10MiB", "item_bytes": "2MiB"}
MIB = 1 << 20
MEASURED = {"measured", "imprecise"}


def sweep(tool, *options, check_code=0, **config):
    config = {"memory_reserve": "1MiB", "simulated": SMALL} | config
    return tool.run(
        "sweep", "--config", tool.write_config(**config), "--output", "out.jsonl", *options, check_code=check_code
    )


def codes(cell):
    return [reason["code"] for reason in cell["reasons"]]


def events(tool, name):
    lines = (tool.folder / "log.jsonl").read_text().splitlines()
    return [event for event in map(json.loads, lines) if event["event"] == name]


@pytest.mark.parametrize("driver", ["pump", "await"])
def test_with_backpressure_workers_take_turns_on_the_lanes_that_fit(tool, driver):
    sweep(tool, "--on-pressure", "backpressure", concurrency="2,8", batch=1, duration="0.5s", driver=driver)

    whole, shared = tool.cells()
    assert whole["memory"]["resident_lanes"] == 2
    assert whole["latency"]["wait"] is None
    assert shared["status"] in MEASURED
    assert shared["concurrency"] == 8
    assert shared["memory"]["resident_lanes"] == 3
    assert shared["memory"]["predicted_device_bytes"] == shared["memory"]["used_device_bytes"] == 36 * MIB
    assert "backpressure" in codes(shared)
    assert shared["latency"]["wait"]["n"] == shared["latency"]["service"]["n"] == shared["n"]
    in_flight = shared["throughput_queries_s"] * shared["latency"]["response"]["mean_ns"] / 1e9
    assert in_flight == pytest.approx(8, rel=0.05)


def test_skip_leaves_out_what_does_not_fit_whole_and_goes_on(tool):
    sweep(tool, "--on-pressure", "skip", concurrency="2,8", batch="1,2")

    assert [cell["status"] in MEASURED for cell in tool.cells()] == [True, False, True, False]
    assert [cell["status"] for cell in tool.cells()][1::2] == ["does_not_fit"] * 2
    skipped = tool.cells()[1]
    assert skipped["facts"]["lanes_that_fit"] == 3
    assert skipped["facts"]["requested_bytes"] == 96 * MIB
    assert skipped["facts"]["available_bytes"] == 36 * MIB


def test_fail_ends_after_the_first_cell_that_does_not_fit_with_a_trailer(tool):
    sweep(tool, "--on-pressure", "fail", concurrency="2,8", batch="1,2", check_code=3)

    records = tool.records()
    assert [record["kind"] for record in records] == ["header", "cell", "cell", "trailer"]
    assert records[2]["status"] == "does_not_fit"
    assert records[-1]["exit_code"] == 3


def test_going_on_after_fail_tries_the_cell_that_ended_the_sweep_again(tool):
    config = tool.write_config(simulated=SMALL, on_pressure="fail", concurrency="2,8", batch="1,2", duration="50ms")
    tool.run("sweep", "--config", config, "--output", "out.jsonl", check_code=3)

    tool.run("sweep", "--config", config, "--output", "out.jsonl", "--resume", check_code=3)

    cells = [record for record in tool.records() if record["kind"] == "cell"]
    assert [(cell["index"], cell["status"] in MEASURED) for cell in cells] == [(0, True), (1, False), (1, False)]
    assert tool.records()[-1]["exit_code"] == 3


def test_a_memory_budget_limits_engine_and_lanes_together(tool):
    sweep(tool, "--memory-budget", "90MiB", concurrency="1,8", batch="1,16")

    by_cell = {(cell["batch"], cell["concurrency"]): cell for cell in tool.cells()}
    assert by_cell[1, 8]["memory"]["resident_lanes"] == 2
    assert by_cell[1, 8]["memory"]["budget_bytes"] == 26 * MIB
    assert by_cell[16, 1]["status"] == by_cell[16, 8]["status"] == "does_not_fit"
    assert by_cell[16, 1]["facts"]["largest_batch_that_fits"] == 8
    assert by_cell[16, 1]["facts"]["largest_listed_batch_that_fits"] == 1


def test_a_reserve_is_not_touched(tool):
    sweep(tool, "--memory-reserve", "20MiB", concurrency=8, batch=1)

    (cell,) = tool.cells()
    assert cell["memory"]["resident_lanes"] == 1


@pytest.mark.parametrize(("on_pressure", "cells", "code"), [("backpressure", 4, 0), ("fail", 1, 3)])
def test_an_engine_that_does_not_fit_at_all_is_a_result_for_every_cell(tool, on_pressure, cells, code):
    sweep(
        tool,
        "--on-pressure",
        on_pressure,
        concurrency="1,2",
        batch="1,2",
        simulated=SMALL | {"engine_bytes": "200MiB"},
        check_code=code,
    )

    records = tool.records()
    assert [record["kind"] for record in records] == ["header", *["cell"] * cells, "trailer"]
    assert {cell["status"] for cell in tool.cells()} == {"does_not_fit"}
    assert all(cell["facts"]["requested_bytes"] == 200 * MIB for cell in tool.cells())


def test_the_header_tells_of_an_engine_that_fits_also_where_the_first_one_does_not(tool):
    base = {"backend": "simulated", "warmup": "none", "concurrency": "1", "batch": "1,2", "duration": "50ms"}
    sweeps = [base | {"simulated": SMALL | {"engine_bytes": "200MiB"}}, base | {"simulated": SMALL}]
    (tool.folder / "two.json").write_text(json.dumps([one | {"memory_reserve": "1MiB"} for one in sweeps]))

    tool.run("sweep", "--config", "two.json", "--output", "out.jsonl")

    assert len(tool.records()[0]["devices"]) == 1
    assert [(cell["index"], cell["status"] in MEASURED) for cell in tool.cells()] == [
        (2, True),
        (3, True),
        (0, False),
        (1, False),
    ]


def kill_bench_in_a_cell(tool):
    """Do what somebody's `kill -9` does, once."""
    tool.wait_for_text("log.jsonl", '"cell.started"')
    os.kill(events(tool, "bench.started")[0]["pid"], signal.SIGKILL)


def test_a_cell_whose_process_somebody_killed_is_run_once_more_on_all_its_lanes(tool):
    config = tool.write_config(concurrency="4", batch="1", duration="1s")
    process = tool.start("sweep", "--config", config, "--output", "out.jsonl", "--log", "log.jsonl")
    kill_bench_in_a_cell(tool)

    _, stderr = process.communicate(timeout=60)

    (cell,) = tool.cells()
    assert (cell["attempt"], cell["status"] in MEASURED) == (2, True)
    assert cell["memory"]["resident_lanes"] == 4
    assert cell["facts"]["first_try_signal"] == "SIGKILL"
    assert "once more, on 4 lanes" in stderr


def test_a_cell_that_a_process_died_of_is_run_once_more_however_it_died(tool):
    kinds = {1: "kill", 2: "exit", 4: "sticky"}
    faults = [{"at": 50, "kind": kind, "batch": batch, "concurrency": 4} for batch, kind in kinds.items()]

    done = sweep(
        tool, "--log", "log.jsonl", concurrency="1,4", batch="1,2,4", simulated={"faults": faults}, check_code=3
    )

    for first_of_batch, retried in zip(tool.cells()[::2], tool.cells()[1::2], strict=True):
        assert (first_of_batch["attempt"], first_of_batch["status"] in MEASURED) == (1, True)
        assert "retried" not in codes(first_of_batch)
        assert (retried["attempt"], retried["status"]) == (2, "error")
        assert "retried" in codes(retried)
    facts = {cell["batch"]: cell["facts"] for cell in tool.cells()[1::2]}
    assert facts[1]["first_try_signal"] == "SIGKILL"
    assert facts[2]["first_try_exit_code"] == 70
    assert facts[4]["first_try_cuda_error"] == "simulated"
    assert done.stderr.count("once more, on 4 lanes") == 3
    assert len(events(tool, "bench.started")) == 6


def test_a_second_death_is_recorded_and_the_sweep_goes_on(tool):
    faults = [{"at": 5, "kind": "kill", "batch": 1}]

    sweep(tool, "--log", "log.jsonl", concurrency="4", batch="1,2", simulated={"faults": faults}, check_code=3)

    died, next_one = tool.cells()
    assert (died["status"], died["attempt"]) == ("error", 2)
    assert codes(died) == ["bench_process_died", "retried"]
    assert died["facts"]["signal"] == died["facts"]["first_try_signal"] == "SIGKILL"
    assert next_one["status"] in MEASURED
    assert next_one["attempt"] == 1
    assert len(events(tool, "bench.started")) == 3


def test_where_lanes_may_not_be_shared_the_second_try_has_all_of_them(tool):
    faults = [{"at": 5, "kind": "kill", "concurrency": 4}]

    sweep(tool, "--on-pressure", "skip", concurrency="4", batch="1", simulated={"faults": faults}, check_code=3)

    (cell,) = tool.cells()
    assert (cell["attempt"], cell["status"]) == (2, "error")


def test_an_interruption_during_a_second_try_drains_it_and_a_resume_repeats_the_cell(tool):
    config = tool.write_config(concurrency="4", batch="1", duration="1.5s")
    process = tool.start("sweep", "--config", config, "--output", "out.jsonl", "--log", "log.jsonl")
    kill_bench_in_a_cell(tool)
    tool.wait_for_text("log.jsonl", '"cell.started"', count=2)

    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=60)

    assert process.returncode == 130, stderr
    (cell,) = tool.cells()
    assert (cell["status"], cell["attempt"]) == ("interrupted", 2)
    assert "retried" in codes(cell)
    assert tool.records()[-1]["exit_code"] == 130
    tool.run("sweep", "--config", config, "--output", "out.jsonl", "--resume")
    assert tool.cells()[-1]["status"] in MEASURED
    assert tool.cells()[-1]["attempt"] == 1  # nobody has killed it this time
