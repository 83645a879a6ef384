"""Keys of a backend that files and headers of before have at the top."""

from __future__ import annotations

import json

import pytest

from asyncbench.errors import BadInputError
from asyncbench.sweep.loading import load_config, load_header, read_flags
from asyncbench.sweep.moved_keys import MOVED_KEYS
from asyncbench.sweep.options import config_options

# What each meant before, in values that are not the default.
FLAT = {
    "intra_op_threads": 2,
    "engine": "static",
    "completion": "block",
    "depth": 4,
    "transfers": True,
    "gpu_time": True,
    "workspace": "1GiB",
    "tactic_sources": ["CUBLAS"],
}


def load(document):
    """Return the sweeps of a document, and what was said of it."""
    said = []
    configs = load_config(json.dumps(document), source="sweep.json", base_folder=".", notice=said.append)
    return configs, said


def test_every_key_of_before_has_its_place():
    assert set(FLAT) == set(MOVED_KEYS)


@pytest.mark.parametrize("key", FLAT)
def test_a_key_of_before_does_what_it_did(key):
    section = MOVED_KEYS[key]

    assert load({key: FLAT[key]})[0] == load({section: {key: FLAT[key]}})[0]


def test_whoever_writes_them_is_told_once_where_they_belong():
    _, said = load([{"depth": 2, "engine": "static", "intra_op_threads": 4}, {"depth": 4}])

    (line,) = said
    now, _, example = line.partition(": write ")
    assert now == (
        "sweep.json: depth is now tensorrt.depth, engine is now tensorrt.engine, "
        "intra_op_threads is now onnxruntime.intra_op_threads"
    )
    assert example == '"tensorrt": {"depth": ..., "engine": ...}, "onnxruntime": {"intra_op_threads": ...}'


def test_of_what_a_task_of_the_predecessor_ignores_nothing_is_said():
    task = {"target": "tensorrt", "workload": "resnet50", "params": {}, "depth": 4}

    configs, said = load([task])

    assert said == []
    assert configs[0].tensorrt.depth == 1


def test_of_a_file_in_the_new_form_nothing_is_said():
    assert load({"tensorrt": {"depth": 2}})[1] == []


def test_a_key_at_the_top_joins_the_others_of_its_section():
    ((config,), _) = load({"depth": 4, "tensorrt": {"engine": "static"}})

    assert (config.tensorrt.depth, str(config.tensorrt.engine)) == (4, "static")


def test_a_key_given_twice_alike_is_one_key():
    ((config,), _) = load({"depth": 4, "tensorrt": {"depth": 4}})

    assert config.tensorrt.depth == 4


def test_a_key_given_twice_with_different_values_is_refused():
    with pytest.raises(BadInputError) as refusal:
        load([{}, {"depth": 4, "tensorrt": {"depth": 2}}])

    assert str(refusal.value) == (
        'sweep.json: entry 2: key "depth" and key "tensorrt.depth" differ: keep the latter: depth is now tensorrt.depth'
    )


def test_what_is_wrong_with_a_value_names_its_new_place():
    with pytest.raises(BadInputError, match=r'key "tensorrt.depth" is 99: make it less than or equal to 16'):
        load({"depth": 99})


def test_a_section_that_is_none_is_refused_whatever_stands_at_the_top():
    with pytest.raises(BadInputError, match=r'key "tensorrt" is 5: make it an object in braces'):
        load({"depth": 4, "tensorrt": 5})


def test_flags_keep_their_names_and_set_the_section():
    assert {option.name: option.path for option in config_options() if option.key in MOVED_KEYS} == {
        f"--{key.replace('_', '-')}": (section, key) for key, section in MOVED_KEYS.items()
    }
    with pytest.raises(BadInputError, match=r"^--depth is 99: "):
        read_flags({"tensorrt": {"depth": 99}})


@pytest.mark.parametrize("backend", ["auto", "onnxruntime", "tensorrt"])
def test_a_header_of_before_is_the_same_configuration(backend):
    # As version 0.9 wrote it: all keys at the top, and null for the settings of the simulated backend.
    before = {"batch": [1], "backend": backend, **FLAT, "simulated": None}

    config = load_header(before)

    now = {"batch": 1, "backend": backend}
    sections = {name: {key: FLAT[key] for key in FLAT if MOVED_KEYS[key] == name} for name in MOVED_KEYS.values()}
    ((expected,), _) = load(now | sections)
    assert config.model_dump() == expected.model_dump()
