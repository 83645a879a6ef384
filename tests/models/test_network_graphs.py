from __future__ import annotations

import hashlib
from collections import Counter

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import helper, numpy_helper

from asyncbench.models.catalog import MODELS, find_model
from asyncbench.models.graphs.model_file import build_model
from asyncbench.models.graphs.ssdmobilenet import make_anchors

_PUBLISHED = {
    "mobilenet": "mobilenet_v1_1.0_224.onnx",
    "resnet50": "resnet50_v1.onnx",
    "ssdmobilenet": "ssd_mobilenet_v1_coco_300.onnx",
}
_LIMIT_OF_FLOAT16 = 65504

pytestmark = pytest.mark.slow

every_network = pytest.mark.parametrize("name", [model.name for model in MODELS])


@pytest.fixture(scope="module", params=[model.name for model in MODELS])
def network(request):
    """One network at a time, so that two sets of weights are never in memory."""
    return request.param, build_model(request.param, seed=0)


def _sha256(model):
    return hashlib.sha256(model.SerializeToString(deterministic=True)).hexdigest()


def _layers(model):
    """Count the convolutions and matrix products by all that decides their cost."""
    shapes = {tensor.name: tuple(tensor.dims) for tensor in model.graph.initializer}
    return Counter(
        (node.op_type, shapes[node.input[1]], *_attributes(node, "strides", "pads", "group"))
        for node in model.graph.node
        if node.op_type in {"Conv", "Gemm"}
    )


def _operators(model):
    return Counter(node.op_type for node in model.graph.node)


def _attributes(node, *names):
    values = {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}
    return tuple(tuple(values[name]) if isinstance(values.get(name), list) else values.get(name) for name in names)


def _interface(model):
    return [
        (value.name, *(dimension.dim_value or dimension.dim_param for dimension in value.type.tensor_type.shape.dim))
        for value in (*model.graph.input, *model.graph.output)
    ]


def _session(model):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(model.SerializeToString(), options)


def _images(name, *, batch):
    """Return noise with the range that the recipe gives to pixels."""
    recipe = find_model(name).recipe
    pixels = np.random.default_rng(7).uniform(0, 255, (batch, 3, recipe.height, recipe.width))
    return ((pixels - np.reshape(recipe.mean, (3, 1, 1))) / recipe.divisor).astype(np.float32)


def test_a_network_is_valid_onnx(network):
    _, model = network

    onnx.checker.check_model(model, full_check=True)
    assert model.opset_import[0].version == 13


def test_a_network_has_the_layers_and_interface_of_the_published_one(network, shared_folder):
    name, model = network
    published = onnx.load(shared_folder / "models" / _PUBLISHED[name])

    assert _layers(model) == _layers(published)
    assert _operators(model) == _operators(published)
    assert _interface(model) == _interface(published)


def test_a_network_has_the_parameters_that_the_catalogue_says(network):
    name, model = network
    layers = [node for node in model.graph.node if node.op_type in {"Conv", "Gemm"}]
    used = {value for node in layers for value in node.input[1:]}

    elements = sum(int(np.prod(tensor.dims)) for tensor in model.graph.initializer if tensor.name in used)

    assert elements == find_model(name).parameters


@every_network
def test_a_seed_gives_the_same_bytes(name):
    first, second = (_sha256(build_model(name, seed=3)) for _ in range(2))

    assert first == second


def test_another_seed_gives_other_weights():
    assert _sha256(build_model("mobilenet", seed=1)) != _sha256(build_model("mobilenet", seed=2))


def test_activations_neither_vanish_nor_explode(network):
    name, model = network
    watched = onnx.ModelProto()
    watched.CopyFrom(model)
    names = [node.output[0] for node in model.graph.node if node.op_type in {"Relu", "Clip"}]
    watched.graph.output.extend(helper.make_empty_tensor_value_info(each) for each in names)

    activations = _session(watched).run(names, {"input": _images(name, batch=1)})

    mean_squares = [float(np.mean(np.square(values))) for values in activations]
    assert min(mean_squares) > 0.01
    assert max(mean_squares) < 100
    assert max(float(values.max()) for values in activations) < _LIMIT_OF_FLOAT16 / 100


def test_outputs_are_finite_differ_between_items_and_favour_no_single_class(network):
    name, model = network

    outputs = _session(model).run(None, {"input": _images(name, batch=2)})

    assert [output.shape for output in outputs] == [(2, *shape) for shape in find_model(name).output_shapes]
    for output in outputs:
        assert np.isfinite(output).all()
        assert not np.array_equal(output[0], output[1])
    if name != "ssdmobilenet":
        np.testing.assert_allclose(outputs[0].sum(axis=1), 1.0, rtol=1e-3)
        assert outputs[0].max() < 0.9


def test_anchors_are_the_published_ones(shared_folder):
    graph = onnx.load(shared_folder / "models" / _PUBLISHED["ssdmobilenet"]).graph
    published = {tensor.name: tensor for tensor in graph.initializer}

    anchors = make_anchors((19, 10, 5, 3, 2, 1))

    np.testing.assert_allclose(anchors[:, :2], numpy_helper.to_array(published["ayx"])[0], atol=1e-6)
    np.testing.assert_allclose(anchors[:, 2:] / 2, numpy_helper.to_array(published["ahw2"])[0], atol=1e-6)
