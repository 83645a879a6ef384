"""A sweep built in Python: the keys of a configuration, checked the same, refused with a remedy."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

import asyncbench
from asyncbench import BadInputError, Sweep, SweepResults
from asyncbench.api import open_sweep
from asyncbench.sweep.cell import Precision


def test_keys_take_pythons_values():
    sweep = Sweep(
        model_file=Path("net.onnx"), concurrency="1..4", batch=[1, 4], precision=["fp16", Precision.INT8], seed=3
    )

    config = sweep.config
    assert (config.model_file, config.concurrency, config.batch, config.seed) == ("net.onnx", (1, 2, 3, 4), (1, 4), 3)
    assert config.precision == (Precision.FP16, Precision.INT8)


@pytest.mark.parametrize("batch", [4, [4], (4,), range(4, 5), "4", np.int32(4), np.array([4]), [np.int64(4)]])
def test_an_axis_is_a_number_a_sequence_or_a_text(batch):
    assert Sweep(batch=batch).config.batch == (4,)


def test_options_of_a_backend_are_taken_as_flags_are_and_in_their_section():
    assert Sweep(depth=4) == Sweep(tensorrt={"depth": 4})
    assert Sweep(intra_op_threads=2) == Sweep(onnxruntime={"intra_op_threads": np.int8(2)})
    assert Sweep(transfers=np.bool_(1)).config.tensorrt.transfers is True

    with pytest.raises(BadInputError, match=r'key "depth" and key "tensorrt.depth" differ: keep the latter'):
        Sweep(depth=4, tensorrt={"depth": 2})


def test_a_value_inside_itself_is_refused():
    axis = [1]
    axis.append(axis)

    with pytest.raises(BadInputError, match="contains itself"):
        Sweep(batch=axis)


def test_what_is_none_was_not_given():
    assert Sweep(duration=None, dataset=None) == Sweep()
    assert Sweep(duration=None).config.model_fields_set == set()


@pytest.mark.parametrize(
    ("keys", "message", "remedy"),
    [
        ({"bacth": 4}, 'key "bacth" is unknown', 'did you mean key "batch"?'),
        ({"batch": 1.5}, "1.5 is not an axis", "write a whole number"),
        ({"concurrency": "8..1"}, "runs backwards", "write 1..8"),
        ({"duration": 10}, '"duration" is 10', "make it a text"),
        ({"duration": "10"}, "is not a duration", "write it with its unit"),
        ({"duration": "1s", "iterations": 3}, "both given", "keep one of them"),
        ({"precision": "fp17"}, "fp17", "make it"),
        ({"stop": {"mim": "1s"}}, "stop.mim", "stop.min"),
        ({"mode": "latency", "batch": 2}, "mode latency means batch 1", "give no batch"),
    ],
)
def test_what_cannot_be_used_is_refused_with_a_remedy(keys, message, remedy):
    with pytest.raises(BadInputError) as refused:
        Sweep(**keys)

    assert message in refused.value.message
    assert remedy in refused.value.remedy


@pytest.mark.parametrize("sweeps", [[], [Sweep(), "resnet50"], [None], None, 5, "resnet50", {"model": "resnet50"}])
def test_what_is_no_sweep_is_refused_before_anything_starts(sweeps):
    with pytest.raises(BadInputError, match="Sweep"):
        open_sweep(sweeps)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"output": 5}, "output is of type int"),
        ({"output": "a\0b"}, "output has a NUL in its name"),
        ({"resume": True}, "resume goes on with a file, and none is named: name it: output="),
        ({"subscribers": 5}, "subscriber 5 cannot be called"),
        ({"subscribers": [print, "print"]}, 'subscriber "print" cannot be called'),
    ],
)
def test_options_of_a_run_that_cannot_be_used_are_refused_before_anything_starts(options, message):
    with pytest.raises(BadInputError, match=message):
        open_sweep(Sweep(), **options)


@pytest.mark.parametrize("name", [5, None, "a\0b"])
def test_what_names_no_file_cannot_be_read(name):
    with pytest.raises(BadInputError, match="a results file"):
        asyncbench.read(name)


def test_a_pipe_that_nobody_writes_to_is_refused_as_results_and_waits_for_nobody(tmp_path):
    pipe = tmp_path / "results"
    os.mkfifo(pipe)

    with pytest.raises(BadInputError, match="results"):
        asyncbench.read(pipe)


def test_a_limit_that_is_no_text_is_refused():
    with pytest.raises(BadInputError, match="20 is not a latency limit"):
        SweepResults(header=None).best(latency_limit=20)


def test_a_sweep_shows_what_was_given():
    assert repr(Sweep(model="resnet50", batch=[1, 4])) == "Sweep(model='resnet50', batch=[1, 4])"


def test_every_name_of_the_package_is_there_and_others_are_not():
    assert all(hasattr(asyncbench, name) for name in asyncbench.__all__)
    assert set(asyncbench.__all__) <= set(dir(asyncbench))
    with pytest.raises(AttributeError, match="no attribute 'Sweeep'"):
        asyncbench.Sweeep  # noqa: B018 # asked for
