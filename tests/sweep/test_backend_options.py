"""Options that the chosen backend does not know: a flag is refused, a key of a file is told of."""

from __future__ import annotations

import pytest

from asyncbench.errors import BadInputError
from asyncbench.sweep.backend_options import check_backend_options
from asyncbench.sweep.backends.onnxruntime import OnnxRuntimeOptions
from asyncbench.sweep.backends.registry import BUILT_IN
from asyncbench.sweep.backends.tensorrt import TensorRtOptions
from asyncbench.sweep.config import check_config

# A value of each that is not the default; a new option of one backend must be added here.
CHANGED = {
    "onnxruntime.intra_op_threads": 2,
    "tensorrt.engine": "static",
    "tensorrt.completion": "block",
    "tensorrt.depth": 4,
    "tensorrt.transfers": True,
    "tensorrt.gpu_time": True,
    "tensorrt.workspace": "1GiB",
    "tensorrt.tactic_sources": "CUBLAS",
}
MEANINGLESS = [(name, backend) for name in CHANGED for backend in BUILT_IN if not name.startswith(backend)]


def config_of(*names, values=CHANGED):
    sections = {}
    for name in names:
        section, key = name.split(".")
        sections.setdefault(section, {})[key] = values[name]
    return check_config(sections, source="")


def flag_of(name):
    return "--" + name.split(".")[1].replace("_", "-")


def test_every_option_that_has_a_flag_has_a_case_here():
    sections = {"onnxruntime": OnnxRuntimeOptions, "tensorrt": TensorRtOptions}

    assert set(CHANGED) == {f"{name}.{key}" for name, model in sections.items() for key in model.model_fields}


@pytest.mark.parametrize(("name", "backend"), MEANINGLESS)
def test_a_flag_that_would_do_nothing_is_refused_with_both_ways_out(name, backend):
    owner = name.split(".")[0]

    with pytest.raises(BadInputError) as refused:
        check_backend_options(config_of(name), backend=backend, flags={name})

    assert f"{flag_of(name)}: only the {owner} backend knows this" in refused.value.message
    assert refused.value.message.endswith(f"runs on {backend}")
    assert refused.value.remedy == f"leave it out, or choose --backend {owner}"


@pytest.mark.parametrize(("name", "backend"), MEANINGLESS)
def test_a_key_of_a_file_that_does_nothing_is_told_of(name, backend):
    said = check_backend_options(config_of(name), backend=backend, flags=())

    assert said == f"keys of the configuration file without effect on {backend}: {name}"


@pytest.mark.parametrize("name", CHANGED)
def test_on_its_own_backend_nothing_is_said_of_an_option(name):
    assert check_backend_options(config_of(name), backend=name.split(".")[0], flags={name}) is None


def test_all_flags_that_would_do_nothing_are_named_at_once():
    names = ("tensorrt.depth", "tensorrt.gpu_time")

    with pytest.raises(BadInputError, match="--depth, --gpu-time: "):
        check_backend_options(config_of(*names), backend="onnxruntime", flags=names)


def test_a_default_that_somebody_writes_down_is_done_on_every_backend():
    written = {"onnxruntime.intra_op_threads": 1, "tensorrt.engine": "auto", "tensorrt.depth": 1}
    config = config_of(*written, values=written)

    assert [check_backend_options(config, backend=one, flags=written) for one in BUILT_IN] == [None] * 3


def test_a_flag_over_a_key_of_the_file_is_a_flag():
    config = config_of("tensorrt.depth", "tensorrt.workspace")

    with pytest.raises(BadInputError) as refused:
        check_backend_options(config, backend="onnxruntime", flags={"tensorrt.depth"})

    assert "workspace" not in str(refused.value)


def test_what_was_given_is_named_with_its_section():
    config = check_config({"batch": 4, "tensorrt": {"depth": 2}, "stop": {"max": "9s"}}, source="")

    assert config.given_keys() == {"batch", "stop", "tensorrt.depth"}
