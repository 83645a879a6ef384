"""The files of configs/: written by scripts/write-configs, and what their names say."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from asyncbench.cli.show.dry_run import dry_run_lines
from asyncbench.supervisor.engine_group import engine_groups
from asyncbench.sweep.config import Mode
from asyncbench.sweep.loading import config_schema, load_config
from asyncbench.units import counted

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "configs"
SCRIPT = ROOT / "scripts" / "write-configs"
FILES = sorted(path.name for path in FOLDER.glob("*.json"))
TASKS = [name for name in FILES if name.startswith("trt-")]
OWN = {
    "quick.json": 4,
    "cpu-mobilenet-fp32.json": 40,
    "cpu-resnet50-fp32.json": 12,
    "cpu-ssdmobilenet-fp32.json": 12,
    "jetson-mobilenet-fp16.json": 16,
    "jetson-resnet50-fp16.json": 16,
    "jetson-ssdmobilenet-fp16.json": 12,
    "rtx-mobilenet-fp16.json": 30,
    "rtx-resnet50-fp16.json": 30,
    "rtx-ssdmobilenet-fp16.json": 20,
    "datacenter-mobilenet-fp16.json": 48,
    "datacenter-resnet50-fp16.json": 48,
    "datacenter-ssdmobilenet-fp16.json": 36,
}
# A bench process is started for each: a sweep, a task that lacks its data set, a sweep that may lack its GPU. With the
# codes that the sweep itself may end with here, and what is said.
DRY_RUN = [
    ("quick.json", {0}, "4 of 4 cells fit"),
    ("trt-gpu-mobilenet-fp32-accuracy.json", {2}, "mode accuracy needs a labelled data set: name it with --dataset"),
    ("datacenter-resnet50-fp16.json", {0, 2}, "48 cells"),
]
WATCHDOG_S = 120


def load(name):
    return load_config((FOLDER / name).read_text(encoding="utf-8"), source=name, base_folder=str(FOLDER))


@pytest.fixture(scope="module")
def script():
    loader = SourceFileLoader("write_configs", str(SCRIPT))
    module = module_from_spec(spec_from_loader(loader.name, loader))
    loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def validator():
    return Draft202012Validator(config_schema())


def test_the_files_are_what_the_script_writes_byte_for_byte(script):
    committed = {path.name: path.read_bytes() for path in FOLDER.glob("*.json")}

    assert committed == {name: text.encode() for name, text in script.config_files().items()}


def test_the_script_writes_them_where_it_is_told(tmp_path):
    subprocess.run([sys.executable, SCRIPT, tmp_path], check=True, capture_output=True)

    assert sorted(path.name for path in tmp_path.iterdir()) == FILES


def test_there_is_a_task_for_every_network_precision_and_mode_and_the_nano_has_no_int8():
    assert len([name for name in TASKS if name.startswith("trt-gpu-")]) == 3 * 3 * 3
    assert len([name for name in TASKS if name.startswith("trt-xavier-")]) == 3 * 3
    assert len([name for name in TASKS if name.startswith("trt-nano-")]) == 3 * 2
    assert not [name for name in TASKS if "nano" in name and "int8" in name]


def test_the_names_that_people_know_are_there():
    known = {"trt-gpu-mobilenet-fp16-throughput.json", "trt-nano-mobilenet-fp16.json", "trt-xavier-resnet50-int8.json"}

    assert known <= set(FILES)


def test_every_sweep_of_our_own_is_explained():
    explained = (FOLDER / "README.md").read_text(encoding="utf-8")

    assert sorted([*OWN, *TASKS]) == FILES
    assert [name for name in OWN if f"`{name}`" not in explained] == []


@pytest.mark.parametrize("name", FILES)
def test_a_ready_file_loads_expands_and_can_be_told_of(name):
    groups = engine_groups(load(name))

    lines = dry_run_lines(groups)

    assert sum(len(group.cells) for group in groups) == OWN.get(name, 1)
    assert lines[-1].startswith(f"{counted(OWN.get(name, 1), 'cell')}, 1 engine")


@pytest.mark.parametrize("name", FILES)
def test_the_schema_accepts_a_ready_file(validator, name):
    validator.validate(json.loads((FOLDER / name).read_text(encoding="utf-8")))


@pytest.mark.parametrize("name", TASKS)
def test_a_task_does_what_its_name_says(name):
    _, board, model, precision, *mode = name.removesuffix(".json").split("-")

    (config,) = load(name)

    assert (config.model, [str(one) for one in config.precision]) == (model, [precision])
    assert config.mode is Mode(mode[0] if board == "gpu" else "throughput")
    assert (config.batch, config.concurrency) == ((1,), (1,))
    assert config.iterations == (None if config.mode is Mode.ACCURACY else 1024)


@pytest.mark.parametrize("name", [name for name in OWN if name != "quick.json"])
def test_a_sweep_of_our_own_does_what_its_name_says(name):
    machine, model, precision = name.removesuffix(".json").split("-")

    (config,) = load(name)

    assert (config.model, [str(one) for one in config.precision]) == (model, [precision])
    assert config.backend == ("onnxruntime" if machine == "cpu" else "tensorrt")
    assert (config.memory_reserve is not None) == (machine == "jetson")


@pytest.mark.slow
@pytest.mark.parametrize(("name", "codes", "said"), DRY_RUN)
def test_a_real_process_dry_runs_a_ready_file(tmp_path, name, codes, said):
    environment = {**os.environ, "ASYNCBENCH_CACHE": str(tmp_path / "cache"), "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "asyncbench", "sweep", "--config", FOLDER / name, "--dry-run"]

    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=WATCHDOG_S, check=False
    )

    assert done.returncode in codes, done.stderr
    assert done.stdout == ""
    assert done.stderr.splitlines()[-1].startswith("asyncbench: ") is (done.returncode == 2)
    assert said in " ".join(done.stderr.split())
    assert [path.name for path in tmp_path.iterdir() if path.name != "cache"] == []
