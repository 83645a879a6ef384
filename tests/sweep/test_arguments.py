"""A sweep that is built in Python: its own values are taken, and bad ones get the errors of the command line."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from asyncbench.errors import BadInputError
from asyncbench.sweep.cell import InputKind, Precision
from asyncbench.sweep.config import Mode
from asyncbench.sweep.latency_limit import LatencyLimit
from asyncbench.sweep.loading import load_config, read_arguments
from asyncbench.units import Duration, Size

HALF_A_CHARACTER = "\ud800"


@pytest.mark.parametrize(
    ("values", "written"),
    [
        ({"batch": range(1, 4)}, {"batch": "1..3"}),
        ({"batch": (1, 4)}, {"batch": [1, 4]}),
        ({"concurrency": [np.int64(2), np.int32(8)]}, {"concurrency": [2, 8]}),
        ({"precision": Precision.FP16}, {"precision": "fp16"}),
        ({"precision": [Precision.FP16, "int8"]}, {"precision": ["fp16", "int8"]}),
        ({"input": InputKind.ZEROS, "mode": Mode.LATENCY}, {"input": "zeros", "mode": "latency"}),
        ({"model_file": Path("a/b.onnx")}, {"model_file": "a/b.onnx"}),
        ({"dataset": Path("d"), "truth": Path("t")}, {"dataset": "d", "truth": "t"}),
        ({"duration": timedelta(seconds=1.5)}, {"duration": "1500000us"}),
        ({"warmup": timedelta(0)}, {"warmup": "0us"}),
        ({"duration": Duration("1.5s", 1_500_000_000)}, {"duration": "1.5s"}),
        ({"memory_budget": Size("8GiB", 8 << 30)}, {"memory_budget": "8GiB"}),
        ({"latency_limit": LatencyLimit(percentile="p95", limit_ns=20_000_000)}, {"latency_limit": "p95=20000000ns"}),
        ({"seed": np.int64(3)}, {"seed": 3}),
        ({"stop": {"min": timedelta(seconds=2)}}, {"stop": {"min": "2000000us"}}),
    ],
)
def test_values_of_python_say_the_same_as_a_file(values, written):
    config = read_arguments(values, source="Sweep")

    assert config == read_arguments(written, source="Sweep")
    assert load_config(config.model_dump_json(), source="record", base_folder="") == (config,)


@pytest.mark.parametrize(
    ("values", "line"),
    [
        ({"batchsize": 4}, 'key "batchsize" is unknown: did you mean key "batch"?'),
        ({"stop": {"mim": "1s"}}, 'key "stop.mim" is unknown: did you mean key "stop.min"?'),
        ({"batch": True}, "true is not an axis"),
        ({"batch": [1, 2.0]}, "[1, 2.0] is not an axis"),
        ({"batch": None}, "null is not an axis"),
        ({"batch": {(1, 2): 3}}, "{(1, 2): 3} is not an axis"),
        ({"batch": np.array([1.5, 2])}, "[1.5, 2.0] is not an axis"),
        ({"precision": ["fp16", "fp17"]}, 'key "precision[1]" is "fp17": make it "fp32", '),
        ({"duration": 5}, 'key "duration" is 5: make it a text in quotes'),
        ({"duration": timedelta(0)}, "'0us' is out of range: write more than 0ns"),
        ({"duration": timedelta(seconds=-1)}, "'-1000000us' is not a duration"),
        ({"duration": Duration("0s", 0)}, "'0s' is out of range"),
        ({"memory_budget": 1024}, 'key "memory_budget" is 1024: make it a text in quotes'),
        ({"model_file": HALF_A_CHARACTER}, 'key "model_file" is "\\ud800": make it text in UTF-8'),
        ({"seed": 1.0}, 'key "seed" is 1.0: make it a whole number'),
        ({"iterations": 2**63}, 'key "iterations" is 9223372036854775808: make it less than or equal to'),
        ({"duration": "1s", "iterations": 5}, "duration and iterations are both given: keep one of them"),
        ({"converted_from": {"a": float("nan")}}, "Sweep: NaN cannot be used as a number"),
        ({"converted_from": {"a": 2**64}}, "Sweep: 18446744073709551616 cannot be used as a number"),
    ],
)
def test_what_cannot_be_used_is_named_with_its_key_and_a_remedy(values, line):
    with pytest.raises(BadInputError) as refused:
        read_arguments(values, source="Sweep")

    assert line in str(refused.value)
    assert refused.value.remedy
