"""Options of the command line are the marked fields of the configuration, and nothing is said of them twice."""

from __future__ import annotations

import subprocess
import sys
from typing import Annotated

import pytest
import typer
from pydantic import BaseModel, Field

from asyncbench.cli.accuracy import OPTIONS as ACCURACY_OPTIONS
from asyncbench.cli.config_options import with_config_options
from asyncbench.cli.main import app
from asyncbench.sweep.config import SweepConfig
from asyncbench.sweep.fields import Flag, Name, SizeText
from asyncbench.sweep.loading import read_flags
from asyncbench.sweep.options import config_options, flag_name

NOT_ON_THE_COMMAND_LINE = {"model", "stop", "simulated", "converted_from"}

# What is typed for each option beside those that take no value. A new option must be added here.
TYPED = {
    "model_file": "net.onnx",
    "concurrency": "1..8",
    "batch": "4,1",
    "precision": "fp16,int8",
    "backend": "onnxruntime",
    "device": "cpu",
    "duration": "10s",
    "iterations": "5",
    "warmup": "none",
    "load": "closed",
    "driver": "await",
    "input": "zeros",
    "images": "images",
    "seed": "7",
    "intra_op_threads": "2",
    "engine": "static",
    "completion": "block",
    "depth": "4",
    "workspace": "1GiB",
    "tactic_sources": "CUBLAS,CUDNN",
    "mode": "accuracy",
    "dataset": "folder",
    "truth": "labels.txt",
    "subset": "every 10th",
    "calibration": "table.json",
    "memory_budget": "8GiB",
    "host_memory_budget": "4GiB",
    "memory_reserve": "0B",
    "on_pressure": "skip",
    "latency_limit": "p95=20ms",
    "cell_timeout": "2m",
}
NEEDED_TOO = {"truth": {"dataset": "d"}, "subset": {"dataset": "d"}, "calibration": {"precision": "int8"}}

OPTIONS = pytest.mark.parametrize("option", config_options(), ids=lambda option: option.key)


class Section(BaseModel):
    depth: Annotated[int | None, Flag()] = Field(default=None, description="How deep.")
    size: Annotated[SizeText | None, Flag()] = None
    is_new: Annotated[bool, Flag(("--new",))] = False
    ratio: Annotated[float, Flag()] = 0.5


class Sectioned(BaseModel):
    first: Annotated[Name | None, Flag(("--one", "--first"))] = None
    section: Section = Section()
    not_typed: int = 0
    last: Annotated[int, Flag()] = 0


def typed(*words, options=None):
    """Return what a command gets that has these options."""
    caught = []

    @with_config_options(config_options() if options is None else options)
    def command(own: Annotated[str, typer.Option()] = "", *, options) -> None:
        caught.append((own, options))

    program = typer.Typer(add_completion=False)
    program.command()(command)
    program(list(words), standalone_mode=False)
    return caught[0][1]


def parameters_of(command):
    return {param.name: param for param in typer.main.get_command(app).commands[command].params}


def test_every_key_is_an_option_or_known_to_be_none():
    assert {option.path[0] for option in config_options()} == SweepConfig.model_fields.keys() - NOT_ON_THE_COMMAND_LINE


def test_no_two_options_have_a_name_in_common():
    names = [name for param in parameters_of("sweep").values() for name in param.opts if name.startswith("-")]

    assert len(names) == len(set(names))


def test_help_lists_the_options_in_the_order_of_the_fields_before_those_of_the_command():
    names = [param.opts for param in parameters_of("sweep").values()]

    expected = [list(option.names) for option in config_options()]
    assert names[1 : len(expected) + 1] == expected


@OPTIONS
def test_help_comes_from_the_field(option):
    shown = {tuple(param.opts): param.help for param in parameters_of("sweep").values() if hasattr(param, "help")}

    assert option.help
    assert shown[option.names] == option.help
    if len(option.path) == 1:
        assert option.help == SweepConfig.model_fields[option.key].description


@OPTIONS
def test_each_option_reaches_its_key(option):
    for name in option.names:
        words = [name] if option.value_type is bool else [name, TYPED[option.key]]
        needed = NEEDED_TOO.get(option.key, {})
        more = [word for key, value in needed.items() for word in (flag_name((key,)), value)]

        value = typed(*words, *more)
        for step in option.path:
            value = value[step]
        config = read_flags(typed(*words, *more))

        assert value == (True if option.value_type is bool else option.value_type(TYPED[option.key]))
        for step in option.path:
            assert step in config.model_fields_set
            config = getattr(config, step)


def test_what_is_not_typed_is_not_given():
    assert typed() == {}


@OPTIONS
def test_messages_call_a_key_by_its_option(option):
    assert flag_name(option.path) in option.names


def test_the_options_of_a_section_go_into_that_section():
    options = config_options(Sectioned)

    given = typed("--depth", "3", "--last", "1", "--new", "--size", "1GiB", "--ratio", "0.25", options=options)

    assert given == {"section": {"depth": 3, "is_new": True, "size": "1GiB", "ratio": 0.25}, "last": 1}
    assert [option.names for option in options] == [
        ("--one", "--first"),
        ("--depth",),
        ("--size",),
        ("--new",),
        ("--ratio",),
        ("--last",),
    ]


def test_an_option_with_several_names_is_called_by_the_one_like_its_key():
    option = config_options(Sectioned)[0]

    assert option.name == "--first"
    assert typed("--one", "a", options=[option]) == typed("--first", "a", options=[option]) == {"first": "a"}


@pytest.mark.parametrize("option", ACCURACY_OPTIONS, ids=lambda option: option.key)
def test_accuracy_shares_its_options_with_sweep(option):
    shared = next(other for other in config_options() if other.path == option.path)

    assert option.value_type is shared.value_type
    assert set(option.names) <= set(shared.names)


def test_help_imports_neither_what_measures_nor_what_breaks_things():
    command = [sys.executable, "-X", "importtime", "-m", "asyncbench", "--help"]

    said = subprocess.run(command, capture_output=True, text=True, check=True).stderr

    loaded = {line.rpartition("|")[2].strip() for line in said.splitlines()}
    assert "asyncbench.cli.stress" in loaded
    heavy = ("numpy", "onnx", "onnxruntime", "cv2", "scipy", "tensorrt", "asyncbench.stress", "asyncbench.bench")
    assert not [name for name in loaded if name in heavy or name.startswith(tuple(f"{one}." for one in heavy))]
