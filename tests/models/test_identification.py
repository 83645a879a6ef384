"""Files under a built-in name: what is taken for that network, and what is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from asyncbench.errors import BadInputError
from asyncbench.models.catalog import MODELS, find_model
from asyncbench.models.identification import check_architecture, known_as, require_known
from asyncbench.models.inspection import ModelFacts
from asyncbench.tensors import TensorSpec

every_model = pytest.mark.parametrize("info", MODELS, ids=lambda info: info.name)


def spec(*item_shape, name="t", dtype="float32"):
    return TensorSpec(name=name, item_shape=item_shape, dtype=dtype)


def facts_of(info):
    """A file of that network, whatever its tensors are called."""
    return ModelFacts(
        path=Path("file.onnx"),
        sha256="0" * 64,
        inputs=(spec(3, info.input_size, info.input_size),),
        outputs=tuple(spec(*shape) for shape in info.output_shapes),
        fixed_batch=None,
        multiply_accumulates=info.multiply_accumulates,
        parameters=info.parameters,
    )


def others_of(facts):
    """The same file with one thing changed, and how the refusal has to begin."""
    side = facts.inputs[0].item_shape[1]
    return {
        "another input": (replace(facts, inputs=(spec(64),)), r"its input is \(N, 64\) float32, that of \w+ \(N, 3, "),
        "channels last": (replace(facts, inputs=(spec(side, side, 3),)), r"its input is \(N, \d+, \d+, 3\)"),
        "whole numbers": (replace(facts, inputs=(spec(3, side, side, dtype="uint8"),)), r"its input is .* uint8"),
        "two inputs": (replace(facts, inputs=facts.inputs * 2), r"its inputs are \(N, 3, "),
        "another output": (replace(facts, outputs=(spec(7),)), r"its output is \(N, 7\) float32, that of"),
        "one output more": (replace(facts, outputs=(*facts.outputs, spec())), r"its outputs are .*, \(N\) float32"),
        "outputs of a type": (
            replace(facts, outputs=tuple(replace(one, dtype="int64") for one in facts.outputs)),
            r"its outputs? (is|are) .* int64",
        ),
    }


@every_model
def test_a_file_of_the_network_is_recognized_with_its_name_and_without(info):
    facts = facts_of(info)

    for name in (info.name, None):
        found = known_as(facts, name=name)
        assert found is not None
        assert (found.info, found.recognized) == (info, True)


@every_model
@pytest.mark.parametrize("change", sorted(others_of(facts_of(MODELS[0]))))
def test_a_file_that_takes_or_gives_something_else_is_refused_in_one_line(info, change):
    facts, message = others_of(facts_of(info))[change]

    with pytest.raises(BadInputError, match=rf"^file\.onnx is not {info.title}: {message}") as caught:
        known_as(facts, name=info.name)

    assert "\n" not in str(caught.value)
    assert f"leave the name {info.name} out" in caught.value.remedy
    assert known_as(facts, name=None) is None


@every_model
@pytest.mark.parametrize("work", [None, 10**6])
def test_another_architecture_for_the_same_images_is_taken_under_the_name_and_not_recognized(info, work):
    facts = replace(facts_of(info), multiply_accumulates=work)

    found = known_as(facts, name=info.name)

    assert found is not None
    assert (found.info, found.recognized) == (info, False)
    assert known_as(facts, name=None) is None


def test_a_file_of_another_built_in_network_is_refused_by_that_name():
    with pytest.raises(BadInputError, match=r"file\.onnx is mobilenet, not resnet50"):
        known_as(facts_of(find_model("mobilenet")), name="resnet50")


@every_model
def test_where_a_known_network_is_needed_a_name_is_only_proposed_for_files_that_fit_it(info):
    like_it = replace(facts_of(info), multiply_accumulates=None)
    unlike_any = replace(like_it, inputs=(spec(64),))

    with pytest.raises(BadInputError) as fits:
        require_known(like_it, None, purpose="this needs one")
    with pytest.raises(BadInputError) as fits_none:
        require_known(unlike_any, None, purpose="this needs one")

    assert fits.value.remedy == f"if it was trained for the same images and classes, name it: {info.name}"
    assert fits_none.value.remedy == "give a file of mobilenet, resnet50, ssdmobilenet"


@every_model
def test_the_architecture_is_held_to_where_a_file_shall_be_kept_under_the_name(info):
    facts = facts_of(info)
    check_architecture(facts, info, remedy="name another")

    with pytest.raises(BadInputError, match="its architecture is another one"):
        check_architecture(replace(facts, multiply_accumulates=None), info, remedy="name another")
