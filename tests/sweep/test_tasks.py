from __future__ import annotations

import json

import pytest

from asyncbench.errors import BadInputError
from asyncbench.sweep.cell import Precision
from asyncbench.sweep.config import Mode
from asyncbench.sweep.loading import load_config, merge_config, read_flags

FULL_PARAMS = {
    "hardware": "gpu",
    "precision": "fp16",
    "batch": 8,
    "concurrency": 4,
    "mode": "throughput",
    "iterations": 1024,
}


def load_task(**changes):
    task = {"target": "tensorrt", "workload": "resnet50", "params": FULL_PARAMS, **changes}
    (config,) = load_config(json.dumps([task]), source="tasks.json", base_folder="")
    return config


def test_a_task_is_a_sweep_of_one_cell_on_whatever_the_machine_has():
    config = load_task()

    assert (config.model, config.precision) == ("resnet50", (Precision.FP16,))
    assert (config.batch, config.concurrency, config.iterations) == ((8,), (4,), 1024)
    assert config.mode is Mode.THROUGHPUT
    assert config.backend == "auto"
    assert config.cell_count == 1


def test_the_task_is_kept_as_it_was_written():
    config = load_task(comment="first")

    assert config.converted_from == {
        "target": "tensorrt",
        "workload": "resnet50",
        "params": FULL_PARAMS,
        "comment": "first",
    }


def test_nothing_said_is_one_item_at_a_time_in_fp32_until_the_stop_rule_is_met():
    config = load_task(params={})

    assert (config.batch, config.concurrency, config.precision) == ((1,), (1,), (Precision.FP32,))
    assert (config.iterations, config.duration) == (None, None)


def test_latency_mode_is_one_item_at_a_time_whatever_the_task_says():
    config = load_task(params=FULL_PARAMS | {"mode": "latency"})

    assert (config.batch, config.concurrency, config.iterations) == ((1,), (1,), 1024)


def test_latency_mode_is_mode_latency_of_the_sweep():
    assert load_task(params={"mode": "latency"}).mode is Mode.LATENCY


def test_accuracy_mode_keeps_batch_and_concurrency_and_has_no_iterations():
    config = load_task(params=FULL_PARAMS | {"mode": "accuracy"})

    assert config.mode is Mode.ACCURACY
    assert (config.batch, config.concurrency, config.iterations) == ((8,), (4,), None)
    assert config.converted_from["params"]["iterations"] == 1024


def test_an_accuracy_task_takes_its_data_set_from_the_flags():
    task = load_task(params={"mode": "accuracy"})
    flags = read_flags({"dataset": "imagenet", "subset": "first 5 per class"})

    config = merge_config(task, flags, source="tasks.json")

    assert (task.dataset, config.dataset, config.subset) == (None, "imagenet", "first 5 per class")
    assert config.mode is Mode.ACCURACY


@pytest.mark.parametrize("mode", ["throughput", "accuracy"])
def test_a_task_becomes_a_latency_measurement_by_a_flag(mode):
    config = merge_config(
        load_task(params=FULL_PARAMS | {"mode": mode}), read_flags({"mode": "latency"}), source="tasks.json"
    )

    assert (config.mode, config.batch, config.concurrency) == (Mode.LATENCY, (1,), (1,))


def test_several_tasks_are_several_sweeps_in_their_order():
    tasks = [
        {"target": "tensorrt", "workload": workload, "params": {}}
        for workload in ("ssdmobilenet", "mobilenet", "resnet50")
    ]

    configs = load_config(json.dumps(tasks), source="tasks.json", base_folder="")

    assert [config.model for config in configs] == ["ssdmobilenet", "mobilenet", "resnet50"]


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"target": "openvino_ubuntu"}, 'key "target" is "openvino_ubuntu": make it "tensorrt"'),
        ({"workload": "vgg"}, 'key "workload" is "vgg": make it "resnet50", "mobilenet" or "ssdmobilenet"'),
        ({"params": []}, 'key "params" is []: make it an object in braces'),
        ({"params": {"batch_size": 5}}, 'key "params.batch_size" is unknown: did you mean key "params.batch"?'),
        ({"params": {"batch": "8"}}, 'key "params.batch" is "8": make it a whole number'),
        ({"params": {"batch": 2.5}}, 'key "params.batch" is 2.5: make it a whole number'),
        ({"params": {"batch": 257}}, 'key "params.batch" is 257: make it less than or equal to 256'),
        ({"params": {"concurrency": 33}}, 'key "params.concurrency" is 33: make it less than or equal to 32'),
        ({"params": {"concurrency": 0}}, 'key "params.concurrency" is 0: make it greater than or equal to 1'),
        ({"params": {"iterations": 0}}, 'key "params.iterations" is 0: make it greater than or equal to 1'),
        ({"params": {"precision": "fp8"}}, 'key "params.precision" is "fp8": make it "fp32", "fp16" or "int8"'),
        ({"params": {"hardware": "cpu"}}, 'key "params.hardware" is "cpu": make it "gpu"'),
        ({"params": {"mode": "fast"}}, 'key "params.mode" is "fast": make it "throughput", "latency" or "accuracy"'),
    ],
)
def test_a_task_that_cannot_be_used_is_refused_with_its_place_and_remedy(changes, line):
    with pytest.raises(BadInputError) as refusal:
        load_task(**changes)

    assert str(refusal.value).startswith(f"tasks.json: entry 1: {line}")
