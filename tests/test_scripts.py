"""The scripts change nothing that git tracks unless they are asked to."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
WATCHDOG_S = 60


def run(*command, cwd=ROOT, **environment):
    return subprocess.run(
        command,
        cwd=cwd,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=WATCHDOG_S,
        check=False,
    )


@pytest.fixture
def stress(tmp_path):
    """`scripts/stress` of a repository whose Python only tells what it is started with."""
    python = tmp_path / ".venv" / "bin" / "python"
    for path, text in {
        tmp_path / "scripts" / "setup": "#!/bin/sh\n",
        python: '#!/bin/sh\necho "${ASYNCBENCH_HYPOTHESIS-} $*"\n[ "$2" != "$FAILS" ]\n',
    }.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(0o755)
    shutil.copy(ROOT / "scripts" / "stress", tmp_path / "scripts" / "stress")

    def start(*arguments, fails=""):
        done = run(tmp_path / "scripts" / "stress", *arguments, cwd=tmp_path, FAILS=fails, ASYNCBENCH_HYPOTHESIS="")
        return done.returncode, done.stdout.splitlines()

    return start


@pytest.mark.parametrize("arguments", [["--only", "build"], ["--quick"], ["--soak", "20m"]])
def test_a_stress_run_writes_no_page(stress, arguments):
    assert stress(*arguments) == (0, [f" -m asyncbench stress {' '.join(arguments)}"])


def test_a_stress_run_writes_the_page_that_it_is_asked_for(stress):
    arguments = ["--only", "build", "--docs", "docs/reliability.md"]

    assert stress(*arguments) == (0, [f" -m asyncbench stress {' '.join(arguments)}"])


def test_the_properties_are_searched_by_name_and_in_a_run_of_everything(stress):
    search, scenarios = "search -m pytest -m hypothesis", " -m asyncbench stress"

    assert stress("--only", "properties") == (0, [search])
    assert stress() == (0, [search, scenarios])


@pytest.mark.parametrize("fails", ["pytest", "asyncbench"])
def test_a_run_of_everything_runs_everything_and_fails_where_one_part_does(stress, fails):
    code, lines = stress(fails=fails)

    assert code != 0
    assert len(lines) == 2


def test_the_ready_configurations_are_only_written_into_a_folder_that_is_named(tmp_path):
    before = {path.name: path.stat().st_mtime_ns for path in (ROOT / "configs").iterdir()}

    done = run(sys.executable, ROOT / "scripts" / "write-configs", cwd=tmp_path)

    assert done.returncode == 2
    assert {path.name: path.stat().st_mtime_ns for path in (ROOT / "configs").iterdir()} == before


def test_the_statistics_are_printed_and_written_only_where_asked_for(tmp_path):
    page = tmp_path / "page.md"
    page.write_text("<!-- begin: histogram -->\n<!-- end: histogram -->\n")
    before = (ROOT / "docs" / "statistics.md").read_bytes()
    report = [sys.executable, ROOT / "scripts" / "statistics-report", "--section", "histogram", "--runs", "1"]

    printed = run(*report)
    written = run(*report, "--write", page)

    assert "| counters | range |" in printed.stdout
    assert written.stdout == ""
    assert "| counters | range |" in page.read_text()
    assert (ROOT / "docs" / "statistics.md").read_bytes() == before


@pytest.mark.slow
@pytest.mark.parametrize(
    "command",
    [
        ("memory_of_a_long_run.py", "--inferences", "2000"),
        ("fast_network_against_bare_loop.py", "--rounds", "1", "--window", "0.05"),
    ],
    ids=lambda command: command[0],
)
def test_a_benchmark_runs_with_the_code_as_it_is_and_prints_its_table(command):
    name, *arguments = command
    path = ROOT / "tests" / "benchmarks" / name

    done = run(sys.executable, path, *arguments)

    assert done.returncode == 0, done.stderr
    assert done.stdout.count("\n| ") > 1
