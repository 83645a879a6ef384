"""Whose accuracy can be told."""

from __future__ import annotations

from pathlib import Path

import pytest

from asyncbench.errors import BadInputError
from asyncbench.models.catalog import MODELS, find_model
from asyncbench.runner.quality_check import open_labelled_data
from asyncbench.runner.subject import Subject
from asyncbench.sweep.cell import Precision
from asyncbench.sweep.config import check_config


def refusal(**keys):
    config = check_config({"dataset": "pictures", **keys}, source="")
    info = None if config.backend == "simulated" else find_model(config.model)
    subject = Subject(config=config, path=Path("any.onnx"), info=info, images=())
    with pytest.raises(BadInputError) as caught:
        open_labelled_data(config, subject, Precision.FP32)
    return caught.value


@pytest.mark.parametrize("name", [model.name for model in MODELS])
def test_random_weights_have_none(name):
    error = refusal(model=name)

    assert error.message == f"the weights of the built-in {name} are random, and so would its accuracy be"
    assert error.remedy.startswith("name a file with trained weights with --model")


def test_weights_are_proposed_to_be_fetched_only_where_those_that_are_published_can_be_used():
    proposing = [model.name for model in MODELS if "models pull" in refusal(model=model.name).remedy]

    assert proposing == ["mobilenet"]


def test_a_simulated_network_has_none():
    assert refusal(backend="simulated").message == "a simulated network has no accuracy"


def test_without_a_data_set_none_is_asked_for():
    config = check_config({}, source="")
    subject = Subject(config=config, path=Path("any.onnx"), info=find_model("mobilenet"), images=())

    assert open_labelled_data(config, subject, Precision.FP32) is None
