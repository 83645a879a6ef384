from __future__ import annotations

import pytest

from asyncbench.errors import BadInputError
from asyncbench.sweep.cell import Driver, InputKind, Precision
from asyncbench.sweep.config import Mode, OnPressure, SweepConfig, check_config


def refusal(values) -> str:
    with pytest.raises(BadInputError) as error:
        check_config(values, source="sweep.json")
    return str(error.value)


def test_nothing_given_is_the_sweep_of_the_readme():
    config = check_config({}, source="sweep.json")

    assert config.model == "mobilenet"
    assert config.model_file is None
    assert config.concurrency == tuple(range(1, 9))
    assert config.batch == tuple(range(1, 17))
    assert config.precision == (Precision.FP32,)
    assert config.backend == "auto"
    assert config.device == ("auto",)
    assert config.driver is Driver.PUMP
    assert (config.load.kind, config.load.options) == ("closed", {})
    assert config.input is InputKind.IMAGES
    assert (config.seed, config.onnxruntime.intra_op_threads) == (0, 1)
    assert (config.duration_ns, config.iterations, config.latency_limit) == (None, None, None)
    assert config.warmup_ns is None
    assert config.cell_timeout_ns == 60 * 10**9
    assert config.cell_count == 128


def test_the_stop_rule_is_one_percent_of_the_median_and_five_of_the_p99_within_half_a_second_to_five():
    stop = check_config({}, source="sweep.json").stop

    assert (stop.median_ratio, stop.p99_ratio) == (0.01, 0.05)
    assert (stop.min_window_ns, stop.max_window_ns) == (500_000_000, 5_000_000_000)


def test_times_are_read_once_and_kept_as_they_were_written():
    config = check_config({"duration": "1.5s", "latency_limit": "20 ms", "cell_timeout": "2m"}, source="sweep.json")

    assert (config.duration_ns, config.latency_limit.limit_ns, config.cell_timeout_ns) == (
        1_500_000_000,
        20_000_000,
        120_000_000_000,
    )
    assert config.model_dump(exclude_unset=True)["duration"] == str(config.duration) == "1.5s"


@pytest.mark.parametrize(
    ("written", "kind", "options", "dumped"),
    [
        ("poisson", "poisson", {}, "poisson"),
        ({"kind": "poisson"}, "poisson", {}, "poisson"),
        ({"kind": "trace", "file": "a.csv", "loops": [1, 2]}, "trace", {"file": "a.csv", "loops": [1, 2]}, None),
    ],
)
def test_a_load_is_a_name_or_an_object_of_its_kind_and_its_own_options(written, kind, options, dumped):
    config = check_config({"load": written}, source="sweep.json")

    assert (config.load.kind, config.load.options) == (kind, options)
    assert config.model_dump(mode="json", exclude_unset=True) == {"load": dumped or written}


@pytest.mark.parametrize(("text", "warmup_ns"), [("auto", None), ("none", 0), ("0s", 0), ("250ms", 250_000_000)])
def test_warm_up_is_automatic_or_absent_or_fixed(text, warmup_ns):
    assert check_config({"warmup": text}, source="sweep.json").warmup_ns == warmup_ns


def test_speed_is_measured_and_no_accuracy_and_lanes_are_shared_where_memory_is_short_unless_something_else_is_said():
    config = check_config({}, source="sweep.json")

    assert config.mode is Mode.THROUGHPUT
    assert (config.dataset, config.calibration, config.allow_overlap) == (None, None, False)
    assert (config.memory_budget_bytes, config.host_memory_budget_bytes, config.memory_reserve_bytes) == (None,) * 3
    assert config.on_pressure is OnPressure.BACKPRESSURE


def test_mode_latency_is_one_cell_of_batch_one_and_concurrency_one():
    config = check_config({"mode": "latency"}, source="sweep.json")

    assert (config.batch, config.concurrency, config.cell_count) == ((1,), (1,), 1)


def test_mode_accuracy_loads_without_a_data_set_which_may_come_with_a_flag():
    assert check_config({"mode": "accuracy"}, source="sweep.json").dataset is None


def test_sizes_are_read_once_and_kept_as_they_were_written():
    config = check_config({"memory_budget": "8GiB", "memory_reserve": "512 MiB"}, source="sweep.json")

    assert (config.memory_budget_bytes, config.memory_reserve_bytes) == (8 << 30, 512 << 20)
    assert config.model_dump(exclude_unset=True) == {"memory_budget": "8GiB", "memory_reserve": "512 MiB"}


@pytest.mark.parametrize("axis", [4, [4], [4, 4], "4", "4,4", (4,)])
def test_an_axis_is_a_number_a_list_or_a_text(axis):
    assert check_config({"concurrency": axis, "batch": 1}, source="sweep.json").concurrency == (4,)


def test_a_list_as_an_axis_keeps_its_order_and_loses_its_repetitions():
    assert check_config({"batch": [8, 1, 8]}, source="sweep.json").batch == (8, 1)


@pytest.mark.parametrize("precision", ["fp16,fp32", "fp16, fp32,fp16", ["fp16", "fp32"], (Precision.FP16, "fp32")])
def test_precisions_keep_their_order_and_lose_their_repetitions(precision):
    assert check_config({"precision": precision}, source="sweep.json").precision == (Precision.FP16, Precision.FP32)


def test_devices_multiply_the_cells():
    config = check_config({"device": "cuda:0,cuda:1", "batch": "1..3", "concurrency": 2}, source="sweep.json")

    assert config.device == ("cuda:0", "cuda:1")
    assert config.cell_count == 6


@pytest.mark.parametrize(
    ("values", "line"),
    [
        ({"batchsize": 8}, 'key "batchsize" is unknown: did you mean key "batch"?'),
        ({"stop": {"medain": "1%"}}, 'key "stop.medain" is unknown: did you mean key "stop.median"?'),
        ({"zzz": 8}, 'key "zzz" is unknown: the keys here are model, model_file, concurrency, batch, '),
        ({"concurrency": "8..1"}, "key \"concurrency\": '8..1' runs backwards: write 1..8"),
        ({"concurrency": 0}, 'key "concurrency": 0 is below 1: write whole numbers from 1'),
        ({"concurrency": 1_000_001}, 'key "concurrency": 1000001 is above 1,000,000: write 1000000 or less'),
        ({"batch": []}, 'key "batch": an axis without values: write whole numbers from 1'),
        ({"batch": list(range(1, 10_002))}, 'key "batch": 10,001 values are more than 10,000: use a step'),
        ({"batch": True}, 'key "batch": true is not an axis: write a whole number, a list of them or a text'),
        ({"batch": [1, 2.0]}, 'key "batch": [1, 2.0] is not an axis'),
        ({"batch": None}, 'key "batch": null is not an axis'),
        ({"precision": "fp33"}, 'key "precision[0]" is "fp33": make it "fp32", "fp16", "bf16", "int8" or "fp8"'),
        ({"precision": []}, 'key "precision" is []: it should have at least 1 item'),
        ({"precision": [{}]}, 'key "precision[0]" is {}: make it "fp32"'),
        (
            {"backend": "onnx"},
            "key \"backend\": there is no backend 'onnx': choose auto, onnxruntime, tensorrt or simulated",
        ),
        ({"backend": 1}, 'key "backend" is 1: make it a text in quotes'),
        ({"device": 0}, 'key "device" is 0: make it a list in brackets'),
        ({"device": "cpu,"}, 'key "device[1]" is "": name one, or leave it out'),
        ({"model": ""}, 'key "model" is "": name one, or leave it out'),
        ({"seed": "8"}, 'key "seed" is "8": make it a whole number'),
        ({"seed": -1}, 'key "seed" is -1: make it greater than or equal to 0'),
        ({"seed": True}, 'key "seed" is true: make it a whole number'),
        (
            {"onnxruntime": {"intra_op_threads": 0}},
            'key "onnxruntime.intra_op_threads" is 0: make it greater than or equal to 1',
        ),
        ({"tensorrt": {"depht": 2}}, 'key "tensorrt.depht" is unknown: did you mean key "tensorrt.depth"?'),
        ({"depht": 2}, 'key "depht" is unknown: did you mean key "tensorrt.depth"?'),
        ({"tensorrt": 2}, 'key "tensorrt" is 2: make it an object in braces'),
        ({"iterations": 0}, 'key "iterations" is 0: make it greater than or equal to 1'),
        ({"duration": 5}, 'key "duration" is 5: make it a text in quotes'),
        ({"duration": "5"}, "key \"duration\": '5' is not a duration: write it with its unit, such as 20ms"),
        ({"duration": "0s"}, "key \"duration\": '0s' is out of range: write more than 0ns"),
        ({"warmup": "hot"}, "key \"warmup\": 'hot' is not a duration: write it with its unit, such as 20ms, 1.5s"),
        ({"cell_timeout": None}, 'key "cell_timeout" is null: make it a text in quotes'),
        ({"stop": {"median": "0%"}}, "key \"stop.median\": '0%' is out of range: write 0.01% to 100%"),
        ({"stop": {"p99": "101%"}}, "key \"stop.p99\": '101%' is out of range"),
        ({"stop": {"p99": "0.05"}}, "key \"stop.p99\": '0.05' is not a percentage"),
        ({"stop": {"min": "6s"}}, 'key "stop": the shortest window, 6s, is longer than the longest, 5s: raise max'),
        ({"duration": "1s", "iterations": 9}, "duration and iterations are both given: keep one of them"),
        ({"images": "there", "input": "zeros"}, "images are given, but input is zeros: set input to images"),
        ({"simulated": {}}, "settings of the simulated backend are given, but backend is auto: set backend"),
        ({"load": 5}, 'key "load": 5 is no load: write its name in quotes, or an object in braces'),
        ({"load": None}, 'key "load": null is no load'),
        ({"load": ""}, 'key "load": "" is no name of a load: write letters, digits and any of _ . -'),
        ({"load": "at random"}, 'key "load": "at random" is no name of a load'),
        ({"load": {"kind": "a/b"}}, 'key "load.kind": "a/b" is no name of a load'),
        ({"load": {"rate": "9/s"}}, 'key "load.kind" is missing: add it'),
        ({"load": {"kind": 5}}, 'key "load.kind" is 5: make it a text in quotes'),
        ({"mode": "fast"}, 'key "mode" is "fast": make it "throughput", "latency" or "accuracy"'),
        (
            {"mode": "latency", "batch": 4},
            "mode latency means batch 1 and concurrency 1, and others are given: give no",
        ),
        ({"subset": "every 10th"}, "truth or subset is given, but no dataset: name the dataset, or give neither"),
        ({"truth": "labels.json"}, "truth or subset is given, but no dataset: name the dataset, or give neither"),
        ({"calibration": "table.json"}, "a calibration is given, but precision has no int8: add int8 to precision"),
        ({"allow_overlap": "yes"}, 'key "allow_overlap" is "yes": make it true or false'),
        ({"memory_budget": "8"}, "key \"memory_budget\": '8' is not a size"),
        ({"on_pressure": "wait"}, 'key "on_pressure" is "wait": make it "backpressure", "skip" or "fail"'),
        ({"batch": "1..1000", "concurrency": "1..1000"}, "1,000,000 cells are more than 100,000: use steps"),
    ],
)
def test_what_cannot_be_used_is_named_with_its_remedy(values, line):
    assert refusal(values).startswith(f"sweep.json: {line}")
    assert refusal(values).isprintable()


@pytest.mark.parametrize(
    ("values", "label"),
    [
        ({}, "mobilenet"),
        ({"model": "resnet50"}, "resnet50"),
        ({"model_file": "nets/mine.onnx"}, "mine"),
        ({"model": "resnet50", "model_file": "nets/mine.onnx"}, "resnet50"),
    ],
)
def test_records_name_the_network_or_the_file_where_only_a_file_was_given(values, label):
    assert check_config(values, source="sweep.json").model_label == label


def test_a_configuration_does_not_change():
    with pytest.raises(ValueError, match="frozen"):
        SweepConfig().seed = 1
