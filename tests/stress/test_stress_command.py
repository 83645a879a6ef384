"""The whole command, with real sweeps that are really hurt."""

import json
import signal
import time

import pytest

from asyncbench.cli.run_stress import chosen_scenarios
from asyncbench.cli.stress import SCENARIO_NAMES
from asyncbench.stress.suite import SCENARIOS


def report_of(tool):
    return [json.loads(line) for line in (tool.folder / "report.jsonl").read_text().splitlines()]


def test_help_names_every_scenario():
    assert tuple(SCENARIOS) == SCENARIO_NAMES


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--only", "sunshine"], "--only sunshine: no such scenario"),
        (["--only", "gpu", "--gpu-part", "fill-1"], "--gpu-part fill-1: no such part"),
        (["--soak", "2"], "--soak: '2' is not a duration"),
        (["--report", "no/such/folder.jsonl"], "--report no/such/folder.jsonl: No such file or directory"),
    ],
)
@pytest.mark.slow
def test_bad_input_is_one_line_and_exit_code_2(stress_tool, arguments, said):
    (line,) = stress_tool.run(*arguments, check_code=2).splitlines()

    assert line.startswith(f"asyncbench: {said}")


@pytest.mark.slow
def test_a_quick_run_keeps_its_promises_and_writes_report_and_page(stress_tool):
    stress_tool.run("--quick", "--only", "disk", "--report", "report.jsonl", "--docs", "reliability.md")

    steps = [each for each in report_of(stress_tool) if each["kind"] == "step"]
    verdicts = [each for each in report_of(stress_tool) if each["kind"] == "verdict"]
    assert {each["held"] for each in steps} == {True}
    assert {each["scenario"] for each in verdicts} == {"disk"}
    page = (stress_tool.folder / "reliability.md").read_text()
    assert "`scripts/stress --quick --only disk`" in page
    assert "| what was written before is whole | yes |" in page


@pytest.mark.slow
def test_a_few_kills_cost_a_cell_at_most(stress_tool):
    said = stress_tool.run("--quick", "--only", "kill", "--report", "report.jsonl")

    assert "BROKEN" not in said
    kept = {each["promise"] for each in report_of(stress_tool) if each["kind"] == "verdict" and each["held"]}
    assert "going on repeats at most one cell, and changes no line that was there" in kept


@pytest.mark.slow
def test_what_cannot_run_here_is_skipped_with_its_reason(stress_tool):
    said = stress_tool.run("--quick", "--only", "gpu", "--gpu-part", "fill-50", "--report", "report.jsonl")

    if '"held": true' in (stress_tool.folder / "report.jsonl").read_text():
        pytest.skip("this machine has a GPU: nothing was skipped")
    assert "skipped gpu: the scenario runs to its end: no GPU with TensorRT: " in said
    assert report_of(stress_tool)[-1]["held"] is None


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_all_that_was_started(stress_tool, number):
    with stress_tool.start("--only", "kill", "--report", "report.jsonl") as process:
        while process.poll() is None and '"step"' not in read_if_there(stress_tool.folder / "report.jsonl"):
            time.sleep(0.02)
        process.send_signal(number)
        process.communicate(timeout=30)

    assert process.returncode == 130
    assert stress_tool.live_processes() == []


def read_if_there(path):
    return path.read_text() if path.exists() else ""


def test_scenarios_run_in_their_order_and_the_soak_only_when_asked_for():
    assert chosen_scenarios(list(SCENARIOS), None) == tuple(SCENARIOS)
    assert chosen_scenarios(None, None) == tuple(name for name in SCENARIOS if name != "soak")
    assert chosen_scenarios(None, "2h") == ("soak",)
    assert chosen_scenarios(["kill"], "2h") == ("kill", "soak")
