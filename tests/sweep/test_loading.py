from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from asyncbench.errors import BadInputError
from asyncbench.sweep.config import SweepConfig, check_config
from asyncbench.sweep.loading import load_config, merge_config, read_flags


def load(text: str) -> tuple[SweepConfig, ...]:
    return load_config(text, source="sweep.json", base_folder="some/folder")


def configs_or_refusal(text: str) -> tuple[SweepConfig, ...] | BadInputError:
    try:
        return load(text)
    except BadInputError as error:
        return error


def layers(*values):
    return (check_config(layer, source="sweep.json") for layer in values)


def test_an_object_is_one_sweep():
    assert load('{"batch": 4}') == (SweepConfig(batch=4),)


def test_a_list_is_one_sweep_per_object():
    assert load('[{"batch": 4}, {"batch": "1..2"}]') == (SweepConfig(batch=4), SweepConfig(batch="1..2"))


def test_the_line_that_names_the_schema_for_editors_is_ignored():
    assert load('{"$schema": "../docs/config.schema.json"}') == (SweepConfig(),)


def test_paths_start_at_the_folder_of_the_file_that_names_them():
    (config,) = load('{"model_file": "weights/a.onnx", "images": "/images"}')

    assert config.model_file == "some/folder/weights/a.onnx"
    assert config.images == "/images"


@pytest.mark.parametrize("key", ["dataset", "truth", "calibration"])
def test_a_data_set_its_truth_and_a_calibration_are_paths_too(key):
    needed = {"dataset": "images", "precision": "int8"}

    (config,) = load(json.dumps(needed | {key: "below/it"}))

    assert getattr(config, key) == "some/folder/below/it"


def test_a_subset_is_no_path():
    assert load('{"dataset": "images", "subset": "every 10th"}')[0].subset == "every 10th"


def test_a_calibration_and_precisions_without_int8_above_it_are_refused():
    with pytest.raises(BadInputError, match="a calibration is given, but precision has no int8"):
        merge_config(
            *layers({"precision": "int8", "calibration": "table.json"}, {"precision": "fp16"}), source="the sweep"
        )


def test_paths_of_flags_stay_as_they_are():
    assert read_flags({"model_file": "a.onnx", "images": None}).model_file == "a.onnx"


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("", "sweep.json: line 1, column 1: not JSON: correct it: Expecting value"),
        ('{"batch": 1,\n "seed" 2}', "sweep.json: line 2, column 9: not JSON: correct it: Expecting ':' delimiter"),
        ("\ufeff{}", "sweep.json: line 1, column 1: not JSON"),
        ("[]", "sweep.json: the list is empty: write an object, or a list of objects"),
        ("7", "sweep.json: 7 is not an object: write an object, or a list of objects"),
        ('[{}, "batch"]', 'sweep.json: entry 2: "batch" is not an object'),
        ('[{}, {"bacth": 1}]', 'sweep.json: entry 2: key "bacth" is unknown: did you mean key "batch"?'),
        ('{"seed": 1, "batch": 2, "seed": 3}', 'sweep.json: key "seed" is there twice: keep one of them'),
        ('{"simulated": {"a": NaN}}', "sweep.json: NaN cannot be used as a number"),
        ('{"simulated": {"a": -Infinity}}', "sweep.json: -Infinity cannot be used as a number"),
        ('{"simulated": {"a": 1e999}}', "sweep.json: 1e999 cannot be used as a number"),
        ('{"seed": 9223372036854775808}', "sweep.json: 9223372036854775808 cannot be used as a number"),
        ('{"seed": ' + "9" * 5_000 + "}", "sweep.json: 99999999999999999999 cannot be used as a number"),
        ('{"simulated": {"\\ud800": 1}}', "sweep.json: half a character, such as \\ud800: write whole characters"),
        ("[" * 100_000, "sweep.json: too many brackets inside each other: nest less"),
        ('{"backend": "simulated", "simulated": {"a": ' + "[" * 300 + "]" * 300 + "}}", 'sweep.json: key "simulated.a'),
        ('{"target": "tensorrt"}', 'sweep.json: key "workload" is missing (and 1 more): add it'),
    ],
)
def test_what_is_not_a_configuration_is_refused_on_one_line(text, line):
    with pytest.raises(BadInputError) as refusal:
        load(text)

    assert str(refusal.value).startswith(line)
    assert str(refusal.value).isprintable()
    assert len(str(refusal.value)) < 400


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["batch", "stop", "params", "x"]), inner),
    )
)
def test_any_json_is_a_configuration_or_is_refused_on_one_line(document):
    answer = configs_or_refusal(json.dumps(document))

    assert answer
    assert isinstance(answer, tuple) or (str(answer).startswith("sweep.json: ") and str(answer).isprintable())


def test_flags_that_contradict_each_other_are_refused():
    with pytest.raises(BadInputError, match=r"^duration and iterations are both given: keep one of them$"):
        read_flags({"duration": "1s", "iterations": 9})


def test_flags_are_named_as_on_the_command_line():
    with pytest.raises(BadInputError) as refusal:
        read_flags({"latency_limit": "20", "batch": None})

    assert str(refusal.value).startswith("--latency-limit: '20' is not a duration: write it with its unit")


def test_flags_win_over_the_file_and_the_file_over_the_defaults():
    merged = merge_config(*layers({"batch": 2, "seed": 7}, {"batch": "1..4"}), source="the sweep")

    assert merged == SweepConfig(batch="1..4", seed=7)


def test_the_stop_rule_is_merged_key_by_key():
    merged = merge_config(
        *layers({"stop": {"median": "2%", "max": "9s"}}, {"stop": {"median": "3%"}}), source="the sweep"
    )

    assert merged.stop.model_dump() == {"median": "3%", "p99": "5%", "min": "0.5s", "max": "9s"}


@pytest.mark.parametrize(
    ("upper", "merged"),
    [
        ("poisson", {"kind": "poisson", "rate": 5}),
        ("trace", "trace"),
        ({"kind": "poisson", "burst": 2}, {"kind": "poisson", "burst": 2}),
    ],
)
def test_a_load_keeps_its_options_where_it_is_only_named_again(upper, merged):
    lower = {"load": {"kind": "poisson", "rate": 5}}

    config = merge_config(*layers(lower, {"load": upper}), source="the sweep")

    assert config.model_dump()["load"] == merged


@pytest.mark.parametrize(
    ("lower", "upper", "outdated"),
    [
        ({"duration": "1s"}, {"iterations": 9}, "duration"),
        ({"iterations": 9}, {"duration": "1s"}, "iterations"),
        ({"model_file": "mine.onnx"}, {"model": "resnet50"}, "model_file"),
        ({"images": "images"}, {"input": "zeros"}, "images"),
        ({"input": "zeros"}, {"images": "images"}, "input"),
        ({"backend": "simulated", "simulated": {}}, {"backend": "onnxruntime"}, "simulated"),
        ({"dataset": "mine", "truth": "labels.txt"}, {"dataset": "yours"}, "truth"),
        ({"dataset": "mine", "subset": "every 2nd"}, {"dataset": "yours"}, "subset"),
    ],
)
def test_what_a_later_layer_outdates_is_forgotten(lower, upper, outdated):
    merged = merge_config(*layers(lower, upper), source="the sweep")

    assert getattr(merged, outdated) == getattr(SweepConfig(), outdated)


@pytest.mark.parametrize(
    ("lower", "upper", "kept"),
    [
        ({"model_file": "mine.onnx"}, {"model": "mobilenet"}, "model_file"),
        ({"images": "images"}, {"input": "images"}, "images"),
        ({"backend": "simulated", "simulated": {"slots": 2}}, {"backend": "simulated"}, "simulated"),
        ({"duration": "1s"}, {"iterations": None}, "duration"),
        ({"dataset": "mine", "subset": "every 2nd"}, {"dataset": "mine"}, "subset"),
    ],
)
def test_what_a_later_layer_only_repeats_outdates_nothing(lower, upper, kept):
    merged = merge_config(*layers(lower, upper), source="the sweep")

    assert getattr(merged, kept) == getattr(check_config(lower, source=""), kept)


def test_layers_that_contradict_each_other_are_refused():
    with pytest.raises(
        BadInputError, match=r"^--stop-min and sweep.json: key .stop.: the shortest window, 6s, is longer"
    ):
        merge_config(
            *layers({"stop": {"max": "5s"}}, {"stop": {"min": "6s", "max": "9s"}}, {"stop": {"max": "1s"}}),
            source="--stop-min and sweep.json",
        )


def test_a_backend_over_a_file_is_the_one_that_runs():
    merged = merge_config(*layers({"backend": "onnxruntime"}, {"backend": "tensorrt"}), source="the sweep")

    assert merged.backend == "tensorrt"
