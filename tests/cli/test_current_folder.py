"""What lies in the current folder is the user's: it is never imported, whatever it is called."""

import json
import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest
from onnx import helper

import asyncbench
from asyncbench.child_program import child_command, child_environment
from asyncbench.cli.import_path import without_current_folder
from asyncbench.testing import write_network

FEW = ("--iterations", 2, "--output", "o")
EXECUTED = "a file of the user was executed"
LIBRARIES = """
numpy cv2 simplejpeg structlog onnx onnxruntime pydantic pydantic_core typer click rich httpx2 pycocotools
scipy trio outcome attr sniffio sortedcontainers idna annotated_types typing_extensions google coloredlogs
flatbuffers tensorrt tensorrt_rtx cuda exceptiongroup sitecustomize usercustomize
"""
# Without what Python itself imports for `-m`, before any line of ours.
NOT_YET_LOADED = ("trio", "structlog", "typer", "numpy", "random", "queue", "logging")
REPORT_PATH = "import json, sys; print(json.dumps([__name__, sys.argv[1:], sys.path]))"


def poison(folder, names):
    folder.mkdir(exist_ok=True)
    for name in names:
        (folder / f"{name}.py").write_text(f"raise SystemExit({EXECUTED!r})\n")
    return folder


@pytest.fixture
def poisoned(tool):
    """A tool whose folder has a file by the name of every module there is; those that the tool writes are beside it."""
    tool.environment["ASYNCBENCH_CACHE"] = str(tool.folder / "cache")
    tool.folder = poison(tool.folder / "poisoned", [*sys.stdlib_module_names, *LIBRARIES.split()])
    # As installed: `python -m` would be the user's own way to have the folder on the path.
    script = Path(sysconfig.get_path("scripts")) / "asyncbench"
    tool.command = lambda *arguments: [str(script), *map(str, arguments)]
    return tool


def write_relu(path):
    nodes, shape = [helper.make_node("Relu", ["x"], ["y"])], ["N", 4]
    write_network(path, nodes, {"x": shape}, {"y": shape})


@pytest.mark.slow
def test_a_sweep_on_a_simulated_device_executes_nothing_of_the_current_folder(poisoned):
    poisoned.run("sweep", "--backend", "simulated", "--concurrency", 1, "--batch", 1, *FEW)

    assert [cell["n"] for cell in poisoned.cells("o")] == [2]


@pytest.mark.slow
def test_a_sweep_of_an_onnx_file_executes_nothing_of_the_current_folder(poisoned):
    write_relu(poisoned.folder / "relu.onnx")

    poisoned.run(
        *("sweep", "--model", "relu.onnx", "--input", "random", "--backend", "onnxruntime"),
        *("--concurrency", 1, "--batch", 1, *FEW),
    )

    assert [cell["n"] for cell in poisoned.cells("o")] == [2]


@pytest.mark.slow
@pytest.mark.parametrize("arguments", [("doctor",), ("sweep", "--backend", "simulated", "--dry-run")])
def test_other_commands_execute_nothing_of_the_current_folder(poisoned, arguments):
    done = poisoned.run(*arguments)

    assert EXECUTED not in done.stdout + done.stderr


@pytest.mark.slow
def test_python_m_takes_the_current_folder_off_the_path_before_a_library_is_imported(tool):
    tool.folder = poison(tool.folder / "poisoned", NOT_YET_LOADED)

    tool.run("sweep", "--backend", "simulated", "--concurrency", 1, "--batch", 1, *FEW)

    assert [cell["n"] for cell in tool.cells("o")] == [2]


@pytest.mark.slow
@pytest.mark.parametrize("pattern", [":/nowhere", "/nowhere:", "/nowhere::/nowhere"])
def test_an_empty_entry_of_the_users_path_is_not_the_current_folder(tool, pattern):
    tool.folder = poison(tool.folder / "poisoned", NOT_YET_LOADED)
    tool.environment["PYTHONPATH"] = pattern
    script = Path(sysconfig.get_path("scripts")) / "asyncbench"

    done = subprocess.run(
        [script, "doctor"], cwd=tool.folder, env=tool.environment, capture_output=True, text=True, check=False
    )

    assert EXECUTED not in done.stdout + done.stderr
    assert "onnxruntime backend" in done.stdout


@pytest.mark.parametrize(
    ("folders", "is_kept"), [(":/more", False), ("/more:", False), ("", True), (":.", True), ("/more", True)]
)
def test_only_an_empty_entry_takes_the_current_folder_off_the_path(tmp_path, monkeypatch, folders, is_kept):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", folders)

    path = without_current_folder([str(tmp_path), "/more"])

    assert path == ([str(tmp_path), "/more"] if is_kept else ["/more"])


def run_child(folder, environment):
    """Run a module that says how it was started, as a child of ours is."""
    (folder / "library").mkdir()
    (folder / "library" / "reporter.py").write_text(REPORT_PATH)
    there = poison(folder / "poisoned", ["json", "runpy", "types", "reporter"])
    command = child_command("reporter", "one", "two")
    done = subprocess.run(command, cwd=there, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    name, arguments, path = json.loads(done.stdout)
    return name, arguments, path, str(there)


@pytest.mark.parametrize("pattern", ["{library}", ":{library}", "{library}:", "::{library}::"])
def test_a_child_has_its_arguments_and_the_users_path_and_not_the_current_folder(tmp_path, monkeypatch, pattern):
    library = str(tmp_path / "library")
    monkeypatch.setenv("PYTHONPATH", pattern.format(library=library))

    name, arguments, path, there = run_child(tmp_path, child_environment())

    assert (name, arguments) == ("__main__", ["one", "two"])
    assert library in path
    assert there not in path
    assert "" not in path


def test_a_path_of_nothing_but_separators_is_no_path(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", os.pathsep)

    assert "PYTHONPATH" not in child_environment()


def test_what_is_asked_for_is_set_beside_the_environment(monkeypatch):
    monkeypatch.setenv("KEPT", "1")

    assert {"KEPT": "1", "MORE": "2"}.items() <= child_environment(MORE="2").items()


def test_there_is_one_place_that_starts_python():
    package = Path(asyncbench.__file__).parent
    sources = {path.relative_to(package).as_posix(): path.read_text() for path in package.rglob("*.py")}

    assert [name for name, text in sources.items() if "sys.executable" in text] == ["child_program.py"]
    # Processes with an environment that was not cleaned: those that run no Python of ours.
    starts = ("open_process(", "run_process(", "run_process,", "subprocess.run(", "Popen(")
    starters = {name for name, text in sources.items() if any(map(text.count, starts))}
    assert {name for name in starters if "child_environment(" not in sources[name]} == {"stress/disk.py"}
    assert len(starters) > 1
