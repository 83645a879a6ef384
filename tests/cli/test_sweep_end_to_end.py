"""Whole sweeps: real supervisor and bench processes, a simulated device."""

import json
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest
from onnx import helper

from asyncbench.testing import write_network

pytestmark = pytest.mark.slow

GRID = {"concurrency": "1..2", "batch": "1,2"}


@pytest.fixture(scope="module")
def swept(make_tool, tmp_path_factory):
    """A sweep that nothing happens to, for the tests that only look at it: what it left, and what it said."""
    tool = make_tool(tmp_path_factory.mktemp("swept"))
    config = tool.write_config(**GRID, latency_limit="p50=1s")
    done = tool.run("sweep", "--config", config, "--output", "out.jsonl", "--log", "log.jsonl")
    return tool, done.stderr


def test_every_cell_of_the_grid_gets_a_record_between_header_and_trailer(swept):
    tool, _ = swept

    records = tool.records()
    assert [record["kind"] for record in records] == ["header", "cell", "cell", "cell", "cell", "trailer"]
    assert [(cell["batch"], cell["concurrency"]) for cell in tool.cells()] == [(1, 1), (1, 2), (2, 1), (2, 2)]
    assert len({record["sweep_id"] for record in records}) == 1
    assert records[-1]["exit_code"] == 0


def test_the_cells_are_measured_in_the_order_that_the_axes_are_written_in(tool):
    config = tool.write_config()

    tool.run("sweep", "--config", config, "--batch", "4,1", "--concurrency", "3,1,2", "--output", "out.jsonl")

    order = [(cell["index"], cell["batch"], cell["concurrency"]) for cell in tool.cells()]
    assert order == [(0, 4, 3), (1, 4, 1), (2, 4, 2), (3, 1, 3), (4, 1, 1), (5, 1, 2)]


def test_a_cell_says_what_was_measured(swept):
    tool, _ = swept

    cell = tool.cells()[1]

    assert (cell["batch"], cell["concurrency"]) == (1, 2)
    assert cell["status"] in {"measured", "imprecise"}
    assert cell["throughput_items_s"] == pytest.approx(cell["n"] / cell["window_ns"] * 1e9)
    assert cell["achieved_concurrency"] == pytest.approx(2, rel=0.25)  # and not 1, however busy the machine is
    assert cell["latency"]["service"]["percentiles"]["p50"]["low_ns"] > 0
    assert cell["outputs_checked"]["lanes"] == 2


def test_files_alone_name_the_networks_one_after_the_other(tool):
    for name in ("one.onnx", "two.onnx"):
        write_add(tool.folder / name)
    quick = ("--input", "random", "--batch", "2", "--concurrency", "1", "--duration", "0.2s", "--warmup", "none")

    done = tool.run("sweep", "one.onnx", "./two.onnx", *quick, "--backend", "onnxruntime", "--output", "out.jsonl")

    assert [cell["model"] for cell in tool.cells()] == ["one", "two"]
    lines = done.stderr.splitlines()
    assert [line.split()[1] for line in lines if line.startswith("[")] == ["one", "two"]
    assert len([line for line in lines if line.startswith("best throughput:")]) == 2


def write_add(path):
    """Write a network that adds `(batch, 4)` float32 to itself."""
    nodes, shape = [helper.make_node("Add", ["x", "x"], ["y"])], ["N", 4]
    write_network(path, nodes, {"x": shape}, {"y": shape})


def test_records_on_stdout_are_all_that_is_there(tool):
    done = tool.run("sweep", "--config", tool.write_config(**GRID), "--output", "-")

    kinds = [json.loads(line)["kind"] for line in done.stdout.splitlines()]
    assert kinds == ["header", "cell", "cell", "cell", "cell", "trailer"]


def test_without_output_the_file_is_named_by_time_and_model(tool):
    tool.run("sweep", "--config", tool.write_config(concurrency=1, batch=1))

    (path,) = (tool.folder / "results").iterdir()
    assert path.name.endswith("-mobilenet.jsonl")


def test_a_fixed_number_of_iterations_is_measured_exactly(tool):
    config = tool.write_config(concurrency="1,3", batch=1, iterations=50)

    tool.run("sweep", "--config", config, "--output", "out.jsonl")

    assert [cell["n"] for cell in tool.cells()] == [50, 50]
    # Lanes that a busy machine kept waiting are named, and the cell is imprecise then.
    assert {cell["status"] for cell in tool.cells()} <= {"measured", "imprecise"}


def test_a_bench_process_killed_in_a_cell_costs_that_cell_alone(tool):
    # Of the second try too, which has half the lanes.
    faults = [{"at": 5, "kind": "kill", "batch": 1, "concurrency": lanes} for lanes in (2, 1)]

    tool.run(
        "sweep",
        "--config",
        tool.write_config(concurrency="2..3", batch="1,2", simulated={"faults": faults}),
        "--output",
        "out.jsonl",
        check_code=3,
    )

    statuses = {(cell["batch"], cell["concurrency"]): cell["status"] for cell in tool.cells()}
    assert statuses.pop((1, 2)) == "error"
    assert set(statuses.values()) <= {"measured", "imprecise"}
    assert len(statuses) == 3
    (failed,) = [cell for cell in tool.cells() if cell["status"] == "error"]
    assert failed["facts"]["signal"] == "SIGKILL"
    assert failed["reasons"][0]["code"] == "bench_process_died"


def test_a_bench_process_that_ends_by_itself_is_recorded_with_its_exit_code(tool):
    faults = [{"at": 5, "kind": "exit"}]

    tool.run(
        "sweep",
        "--config",
        tool.write_config(concurrency=1, batch=1, simulated={"faults": faults}),
        "--output",
        "out.jsonl",
        check_code=3,
    )

    (cell,) = tool.cells()
    assert cell["status"] == "error"
    assert isinstance(cell["facts"]["exit_code"], int)


def test_a_failed_inference_and_a_lost_device_cost_one_cell_each(tool):
    faults = [
        {"at": 5, "kind": "error", "batch": 1, "concurrency": 1},
        {"at": 5, "kind": "sticky", "batch": 1, "concurrency": 2},
    ]

    tool.run(
        "sweep",
        "--config",
        tool.write_config(**GRID, simulated={"faults": faults}),
        "--output",
        "out.jsonl",
        check_code=3,
    )

    assert [cell["status"] == "error" for cell in tool.cells()] == [True, True, False, False]


def test_a_lane_that_does_not_fit_is_a_result_with_bytes_and_not_a_failure(tool):
    device = {"memory": "100MiB", "engine_bytes": "64MiB", "lane_bytes": "20MiB", "item_bytes": "1MiB"}

    tool.run(
        "sweep", "--config", tool.write_config(concurrency=4, batch="1,32", simulated=device), "--output", "out.jsonl"
    )

    fits, refused = tool.cells()
    assert fits["status"] in {"measured", "imprecise"}
    assert refused["status"] == "does_not_fit"
    assert any(key.endswith("_bytes") for key in refused["facts"])


def test_outputs_that_differ_between_lanes_make_a_cell_invalid(tool):
    device = {"wrong_outputs_from": 3, "wrong_outputs_lane": 1}

    tool.run(
        "sweep",
        "--config",
        tool.write_config(concurrency=2, batch=1, simulated=device),
        "--output",
        "out.jsonl",
        check_code=3,
    )

    (cell,) = tool.cells()
    assert cell["status"] == "invalid"
    assert "lane 1" in cell["reasons"][0]["text"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT])
def test_a_signal_drains_the_cell_and_leaves_a_valid_file(tool, number):
    # The second cell cannot end by itself before the signal comes.
    config = tool.folder / "two.json"
    common = {"backend": "simulated", "warmup": "none", "concurrency": 1, "batch": 1}
    config.write_text(json.dumps([common | {"duration": duration} for duration in ("0.1s", "10m")]))
    process = tool.start("sweep", "--config", config, "--output", "out.jsonl", "--log", "log.jsonl")
    tool.wait_for_text("log.jsonl", '"cell.started"', count=2)

    process.send_signal(number)
    process.communicate(timeout=30)

    assert process.returncode == 130
    records = tool.records()
    assert [record["kind"] for record in records] == ["header", "cell", "cell", "trailer"]
    assert records[-1]["kind"] == "trailer"
    assert records[-1]["exit_code"] == 130
    assert records[-2]["status"] == "interrupted"


def test_a_signal_to_all_processes_at_once_drains_the_cell_too(tool):
    config = tool.write_config(concurrency=1, batch=1, duration="60s")
    process = tool.start("sweep", "--config", config, "--output", "out.jsonl", "--log", "log.jsonl")
    tool.wait_for_text("log.jsonl", '"cell.started"')
    log = [json.loads(line) for line in (tool.folder / "log.jsonl").read_text().splitlines()]
    (bench,) = [event["pid"] for event in log if event["event"] == "bench.started"]

    os.kill(bench, signal.SIGTERM)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=30)

    assert process.returncode == 130
    (cell,) = tool.cells()
    assert cell["status"] == "interrupted"
    assert "signal" not in cell["facts"]


def test_resume_repeats_only_what_has_no_final_record(tool):
    config = tool.write_config(concurrency="1..4", batch=1, duration="0.3s")
    process = tool.start("sweep", "--config", config, "--output", "out.jsonl")
    tool.wait_for_text("out.jsonl", '"kind":"cell"', count=2)
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)
    before = {cell["index"] for cell in tool.cells() if cell["status"] != "interrupted"}

    tool.run("sweep", "--config", config, "--output", "out.jsonl", "--resume")

    after = tool.cells()
    assert sorted({cell["index"] for cell in after if cell["status"] != "interrupted"}) == [0, 1, 2, 3]
    assert sum(cell["index"] in before for cell in after) == len(before)
    assert sum(tool.records()[-1]["status_counts"].values()) == 4


def test_a_killed_supervisor_takes_its_bench_process_along_and_loses_one_cell(tool):
    config = tool.write_config(concurrency="1..4", batch=1, duration="0.5s")
    process = tool.start("sweep", "--config", config, "--output", "out.jsonl", "--log", "log.jsonl")
    tool.wait_for_text("out.jsonl", '"kind":"cell"', count=2)

    process.kill()
    process.communicate(timeout=30)

    pid = next(
        json.loads(line)["pid"]
        for line in (tool.folder / "log.jsonl").read_text().splitlines()
        if '"bench.started"' in line
    )
    wait_until_gone(pid)
    tool.run("sweep", "--config", config, "--output", "out.jsonl", "--resume")
    assert len({cell["index"] for cell in tool.cells()}) == 4
    assert len(tool.cells()) == 4


def wait_until_gone(pid, limit_s=20):
    """Return when no process has that number, or it is a zombie that its parent has not reaped."""
    deadline = time.monotonic() + limit_s
    while time.monotonic() < deadline:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except FileNotFoundError:
            return
        if state == "Z":
            return
        time.sleep(0.02)
    pytest.fail(f"process {pid} is still there after {limit_s} s")


def test_the_log_carries_the_sweeps_id_and_the_bench_processes_events(swept):
    tool, _ = swept

    events = [json.loads(line) for line in (tool.folder / "log.jsonl").read_text().splitlines()]
    assert {event["sweep_id"] for event in events} == {tool.records()[0]["sweep_id"]}
    assert "bench.started" in {event["event"] for event in events}


def test_a_dry_run_measures_and_writes_nothing(tool):
    done = tool.run("sweep", "--config", tool.write_config(**GRID), "--output", "out.jsonl", "--dry-run")

    assert "4 cells" in done.stderr
    assert not (tool.folder / "out.jsonl").exists()


def test_the_summary_names_best_limited_best_and_knee(swept):
    _, said = swept

    assert "best throughput:" in said
    assert "best with p50 <= 1.00 s" in said
    assert "knee" in said
    assert "runner cost:" in said


def test_two_devices_are_measured_one_after_the_other(tool):
    tool.run(
        "sweep",
        "--config",
        tool.write_config(concurrency="1,2", batch=1, device=["sim:0", "sim:1"]),
        "--output",
        "out.jsonl",
    )

    assert [cell["device"] for cell in tool.cells()] == ["sim:0"] * 2 + ["sim:1"] * 2


def test_the_supervisor_imports_no_inference_library(tool):
    script = (
        "import sys; sys.argv = ['asyncbench', 'sweep', '--dry-run']\n"
        "from asyncbench.cli.main import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "print([name for name in ('onnxruntime', 'onnx', 'cv2', 'tensorrt') if name in sys.modules])"
    )
    command = [tool.command()[0], "-c", script]

    done = subprocess.run(command, env=tool.environment, capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"


def test_a_signal_while_the_engine_opens_ends_at_once_and_leaves_no_file(tool):
    config = tool.write_config(concurrency=1, batch=1, simulated={"open_time": "60s"})
    process = tool.start("sweep", "--config", config, "--output", "out.jsonl", "--log", "log.jsonl")
    tool.wait_for_text("log.jsonl", "bench.started")

    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=30)

    assert process.returncode == 130, stderr
    assert not (tool.folder / "out.jsonl").exists()


def test_resuming_a_file_with_every_cell_measures_nothing(swept, tool):
    earlier, _ = swept
    shutil.copy(earlier.folder / "out.jsonl", tool.folder)
    before = (tool.folder / "out.jsonl").read_bytes()

    done = tool.run("sweep", "--config", earlier.folder / "sweep.json", "--output", "out.jsonl", "--resume")

    assert "nothing is left" in done.stderr
    assert (tool.folder / "out.jsonl").read_bytes() == before


def test_going_on_with_a_file_that_is_complete_says_what_its_cells_say_and_not_that_it_was_interrupted(swept, tool):
    earlier, _ = swept
    *lines, trailer = (earlier.folder / "out.jsonl").read_text().splitlines()
    late = json.dumps(json.loads(trailer) | {"exit_code": 130})
    (tool.folder / "out.jsonl").write_text("\n".join([*lines, late]) + "\n")

    again = tool.run("sweep", "--config", earlier.folder / "sweep.json", "--output", "out.jsonl", "--resume")

    assert "nothing is left to measure" in again.stderr


def test_an_engine_of_a_later_device_that_is_refused_ends_the_sweep_before_anything_is_written(tool):
    done = tool.run(
        *("sweep", "mobilenet", "--backend", "onnxruntime", "--device", "cpu,cuda:0", "--output", "out.jsonl"),
        check_code=2,
    )

    assert "cuda:0" in done.stderr
    assert not (tool.folder / "out.jsonl").exists()


def test_after_an_interruption_no_further_engine_is_opened(tool):
    config = tool.write_config(precision="fp32,fp16", concurrency="1", batch="1", duration="60s")
    process = tool.start("sweep", "--config", config, "--output", "out.jsonl", "--log", "log.jsonl")
    tool.wait_for_text("log.jsonl", '"cell.started"')

    process.send_signal(signal.SIGINT)
    _, stderr = process.communicate(timeout=60)

    assert process.returncode == 130, stderr
    # Once before anything was written.
    assert stderr.count("opening mobilenet fp16") == 1
