"""`--from FILE`: a copy at hand is checked and kept as a pulled file is."""

from __future__ import annotations

import hashlib
from pathlib import Path

import onnx
import pytest
from onnx import helper

from asyncbench.errors import BadInputError, OutputError
from asyncbench.models.catalog import MODELS
from asyncbench.models.store.folder import WeightsFolder, find_weights
from asyncbench.models.store.published import PUBLISHED, find_published
from asyncbench.models.store.pull import UNKNOWN_LICENCE, keep_copy

SHARED_WEIGHTS = Path(__file__).parents[3].parent / "shared" / "models"


@pytest.fixture
def copy(tmp_path, content):
    path = tmp_path / "downloads.onnx"
    path.write_bytes(content)
    return path


def silent(_line):
    pass


async def test_a_copy_of_the_published_file_is_kept_with_its_licence(folder, weights, copy, content):
    pin = await keep_copy(folder, weights, copy, report=silent)

    assert folder.weights_path("resnet50").read_bytes() == content
    assert (pin.sha256, pin.licence) == (hashlib.sha256(content).hexdigest(), "Apache-2.0")
    assert pin.source == str(copy)
    assert find_weights(folder, "resnet50") == pin
    assert copy.exists()


async def test_keeping_it_twice_changes_nothing(folder, weights, copy):
    first = await keep_copy(folder, weights, copy, report=silent)

    assert await keep_copy(folder, weights, copy, report=silent) == first


async def test_another_network_is_refused(folder, copy):
    with pytest.raises(BadInputError, match=r"downloads\.onnx is not MobileNet v1 1\.0 224: its input is"):
        await keep_copy(folder, find_published("mobilenet"), copy, report=silent)

    assert find_weights(folder, "mobilenet") is None


async def test_a_frozen_graph_is_refused_with_the_command_that_converts_it(folder, weights):
    with pytest.raises(BadInputError) as caught:
        await keep_copy(folder, weights, Path("graph.pb"), report=silent)

    assert "`utility/convert-frozen-graph graph.pb resnet50.onnx`" in caught.value.remedy


async def test_a_missing_file_is_named(folder, weights, tmp_path):
    with pytest.raises(BadInputError, match=r"nowhere\.onnx"):
        await keep_copy(folder, weights, tmp_path / "nowhere.onnx", report=silent)


async def test_a_copy_that_differs_from_the_pinned_file_is_refused(folder, weights, copy, content):
    await keep_copy(folder, weights, copy, report=silent)
    model = onnx.load_from_string(content)
    model.doc_string = "changed"
    copy.write_bytes(model.SerializeToString())

    with pytest.raises(BadInputError, match=hashlib.sha256(content).hexdigest()):
        await keep_copy(folder, weights, copy, report=silent)

    assert folder.weights_path("resnet50").read_bytes() == content
    assert not list(folder.root.glob("*.tmp"))


async def test_weights_in_other_files_are_refused(folder, weights, tmp_path, content):
    copy = tmp_path / "split.onnx"
    onnx.save(onnx.load_from_string(content), copy, save_as_external_data=True, location="split.bin")

    with pytest.raises(BadInputError, match="keeps weights in other files"):
        await keep_copy(folder, weights, copy, report=silent)


async def test_a_published_file_that_cannot_be_run_is_kept_and_says_why(folder, tmp_path, content):
    weights = find_published("ssdmobilenet")
    names = sorted(weights.outputs)
    model = onnx.load_from_string(content)
    model.graph.input[0].type.tensor_type.shape.dim[1].dim_param = "height"
    del model.graph.output[:]
    model.graph.node.extend(helper.make_node("Identity", ["scores"], [name]) for name in names)
    model.graph.output.extend(helper.make_tensor_value_info(name, 1, ["N", "any"]) for name in names)
    copy = tmp_path / "ssd.onnx"
    copy.write_bytes(model.SerializeToString())

    pin = await keep_copy(folder, weights, copy, report=silent)

    assert pin.network is None
    assert pin.complaint == "axis 1 of input 'x' of it has no fixed size: its shape is (N, height)"


async def test_a_folder_that_cannot_be_written_is_named(weights, copy, tmp_path):
    (tmp_path / "file").write_text("in the way")

    with pytest.raises(OutputError, match="ASYNCBENCH_CACHE"):
        await keep_copy(WeightsFolder(root=tmp_path / "file" / "weights"), weights, copy, report=silent)


@pytest.mark.slow
@pytest.mark.skipif(not SHARED_WEIGHTS.is_dir(), reason="../shared is not beside the repository")
@pytest.mark.parametrize(
    ("name", "file"),
    [("mobilenet", "mobilenet_v1_1.0_224.onnx"), ("ssdmobilenet", "ssd_mobilenet_v1_coco_300.onnx")],
)
async def test_real_weights_are_recognized(folder, name, file):
    pin = await keep_copy(folder, find_published(name), SHARED_WEIGHTS / file, report=silent)

    assert (pin.network, pin.complaint, pin.licence) == (name, "", UNKNOWN_LICENCE)


def test_every_built_in_network_has_published_weights():
    assert [weights.model for weights in PUBLISHED] == [model.name for model in MODELS]
    assert {weights.url.partition("//")[0] for weights in PUBLISHED} == {"https:"}
