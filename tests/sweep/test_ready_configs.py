from __future__ import annotations

import json
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from asyncbench.sweep.grid import expand
from asyncbench.sweep.loading import load_config
from asyncbench.sweep.schema import config_schema

FOLDER = Path(__file__).parents[2] / "configs"
CELLS = {
    "quick.json": 4,
    "cpu-mobilenet-fp32.json": 40,
    "cpu-resnet50-fp32.json": 12,
    "cpu-ssdmobilenet-fp32.json": 12,
    "trt-gpu-mobilenet-fp16-throughput.json": 1,
}


def test_every_ready_file_is_tested_and_explained():
    names = {path.name for path in FOLDER.glob("*.json")}

    assert names == set(CELLS)
    assert [name for name in names if f"`{name}`" not in (FOLDER / "README.md").read_text(encoding="utf-8")] == []


@pytest.mark.parametrize("name", CELLS)
def test_a_ready_file_loads_and_expands(name):
    text = (FOLDER / name).read_text(encoding="utf-8")

    configs = load_config(text, source=name, base_folder=str(FOLDER))

    assert sum(len(expand(config, device="cpu")) for config in configs) == CELLS[name]


@pytest.mark.parametrize("name", CELLS)
def test_the_schema_accepts_a_ready_file(name):
    document = json.loads((FOLDER / name).read_text(encoding="utf-8"))

    Draft202012Validator(config_schema()).validate(document)
