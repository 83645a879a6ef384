"""Options that the chosen backend does not know: a flag is refused, a key of a file is told of."""

from __future__ import annotations

import pytest

from asyncbench.errors import BadInputError
from asyncbench.sweep.backend_options import check_backend_options
from asyncbench.sweep.config import BackendChoice, OnlyOn, SweepConfig, check_config

# A value of each that is not the default; a new option of one backend must be added here.
CHANGED = {
    "intra_op_threads": 2,
    "engine": "static",
    "completion": "block",
    "depth": 4,
    "transfers": True,
    "gpu_time": True,
    "workspace": "1GiB",
    "tactic_sources": "CUBLAS",
}
OPTIONS = {
    name: mark.backend
    for name, field in SweepConfig.model_fields.items()
    for mark in field.metadata
    if isinstance(mark, OnlyOn)
}
BACKENDS = ("onnxruntime", "tensorrt", "simulated")
MEANINGLESS = [(key, backend) for key in CHANGED for backend in BACKENDS if OPTIONS.get(key) != backend]


def config_of(*keys):
    return check_config({key: CHANGED[key] for key in keys}, source="")


def test_every_option_of_one_backend_has_a_case_here():
    assert set(CHANGED) == set(OPTIONS)


@pytest.mark.parametrize(("key", "backend"), MEANINGLESS)
def test_a_flag_that_would_do_nothing_is_refused_with_both_ways_out(key, backend):
    with pytest.raises(BadInputError) as refused:
        check_backend_options(config_of(key), backend=backend, flags={key})

    assert f"--{key.replace('_', '-')}: only the {OPTIONS[key]} backend knows this" in refused.value.message
    assert refused.value.message.endswith(f"runs on {backend}")
    assert refused.value.remedy == f"leave it out, or choose --backend {OPTIONS[key]}"


@pytest.mark.parametrize(("key", "backend"), MEANINGLESS)
def test_a_key_of_a_file_that_does_nothing_is_told_of(key, backend):
    said = check_backend_options(config_of(key), backend=backend, flags=())

    assert said == f"keys of the configuration file without effect on {backend}: {key} (for {OPTIONS[key]})"


@pytest.mark.parametrize("key", CHANGED)
def test_on_its_own_backend_nothing_is_said_of_an_option(key):
    assert check_backend_options(config_of(key), backend=str(OPTIONS[key]), flags={key}) is None


def test_all_flags_that_would_do_nothing_are_named_at_once():
    with pytest.raises(BadInputError, match="--depth, --gpu-time: "):
        check_backend_options(config_of("depth", "gpu_time"), backend="onnxruntime", flags={"depth", "gpu_time"})


def test_a_default_that_somebody_writes_down_is_done_on_every_backend():
    written = {"intra_op_threads": 1, "engine": "auto", "completion": "spin", "depth": 1, "transfers": False}
    config = check_config(written, source="")

    assert [check_backend_options(config, backend=one, flags=set(written)) for one in BACKENDS] == [None] * 3


def test_a_flag_over_a_key_of_the_file_is_a_flag():
    config = config_of("depth", "workspace")

    with pytest.raises(BadInputError) as refused:
        check_backend_options(config, backend=str(BackendChoice.ONNXRUNTIME), flags={"depth"})

    assert "workspace" not in str(refused.value)
