"""Hash of a model: every byte that decides what it computes, and nothing else."""

from __future__ import annotations

import hashlib
import os
import tracemalloc
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from asyncbench.errors import BadInputError
from asyncbench.models.inspection import inspect_model
from asyncbench.models.model_hash import model_sha256
from asyncbench.models.store.network_check import check_network
from asyncbench.models.store.published import find_published

FEATURES, CLASSES = 16, 8


def outside(name="w", *, location="w.bin", offset=0, shape=(FEATURES, CLASSES), **entries):
    """A tensor whose values are in another file."""
    tensor = TensorProto(name=name, data_type=TensorProto.FLOAT, dims=shape, data_location=TensorProto.EXTERNAL)
    length = 4 * int(np.prod(shape))
    for key, value in ({"location": location, "offset": offset, "length": length} | entries).items():
        tensor.external_data.add(key=key, value=str(value))
    return tensor


def info(name, *shape):
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)


def in_branches(then_weights, else_weights=()):
    """An If whose branches multiply by weights of their own."""
    branches = []
    for prefix, weights in (("t", then_weights), ("e", else_weights)):
        own = list(weights) or [numpy_helper.from_array(np.zeros((FEATURES, CLASSES), np.float32), "w")]
        nodes = [helper.make_node("MatMul", ["x", own[0].name], [prefix])]
        branches.append(helper.make_graph(nodes, prefix, [], [info(prefix, "N", CLASSES)], own))
    return helper.make_node("If", ["c"], ["y"], then_branch=branches[0], else_branch=branches[1])


def model_of(nodes, weights=(), **parts):
    graph = helper.make_graph(nodes, "g", [info("x", "N", FEATURES)], [info("y", "N", CLASSES)], list(weights))
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("own", 1)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=8, **parts)


PRODUCT = helper.make_node("MatMul", ["x", "w"], ["y"])


def as_initializer():
    return model_of([PRODUCT], [outside()])


def in_a_constant():
    return model_of([helper.make_node("Constant", [], ["w"], value=outside()), PRODUCT])


def in_a_branch_of_an_if():
    return model_of([in_branches([outside()])], [numpy_helper.from_array(np.array(True), "c")])


def in_a_branch_of_a_branch():
    inner = in_branches([outside()])
    graph = helper.make_graph([inner], "outer", [], [info("y", "N", CLASSES)])
    node = helper.make_node("If", ["c"], ["y"], then_branch=graph, else_branch=graph)
    return model_of([node], [numpy_helper.from_array(np.array(True), "c")])


def in_a_function():
    body = [helper.make_node("Constant", [], ["w"], value=outside()), PRODUCT]
    function = helper.make_function("own", "F", ["x"], ["y"], body, [helper.make_opsetid("", 17)])
    return model_of([helper.make_node("F", ["x"], ["y"], domain="own")], functions=[function])


def in_a_list_of_tensors():
    node = helper.make_node("Holder", ["x"], ["y"], domain="own", held=[outside()])
    return model_of([node])


def in_a_sparse_tensor():
    model = model_of([PRODUCT])
    sparse = model.graph.sparse_initializer.add(dims=[FEATURES, CLASSES])
    sparse.values.CopyFrom(outside(shape=(FEATURES * CLASSES,)))
    sparse.indices.CopyFrom(numpy_helper.from_array(np.arange(FEATURES * CLASSES), "i"))
    return model


def in_a_training_graph():
    model = model_of([PRODUCT], [numpy_helper.from_array(np.zeros((FEATURES, CLASSES), np.float32), "w")])
    model.training_info.add().algorithm.initializer.append(outside("m"))
    return model


PLACES = (
    as_initializer,
    in_a_constant,
    in_a_branch_of_an_if,
    in_a_branch_of_a_branch,
    in_a_function,
    in_a_list_of_tensors,
    in_a_sparse_tensor,
    in_a_training_graph,
)
every_place = pytest.mark.parametrize("make", PLACES, ids=lambda make: make.__name__)


def write(folder: Path, model, **files: float) -> Path:
    """Write the model, and beside it files of weights that all have one value."""
    for name, value in (files or {"w": 1.0}).items():
        np.full(FEATURES * CLASSES, value, np.float32).tofile(folder / f"{name}.bin")
    path = folder / "m.onnx"
    path.write_bytes(model.SerializeToString())
    return path


@every_place
def test_other_weights_outside_of_the_file_make_another_model(tmp_path, make):
    path = write(tmp_path, make(), w=1.0)
    before = model_sha256(path)
    assert model_sha256(path) == before

    write(tmp_path, make(), w=7.0)

    assert model_sha256(path) != before


@every_place
def test_a_file_of_weights_that_is_missing_is_named(tmp_path, make):
    path = write(tmp_path, make())
    (tmp_path / "w.bin").unlink()

    with pytest.raises(BadInputError, match=r"m\.onnx keeps weights in .*w\.bin, which is missing"):
        model_sha256(path)


@every_place
def test_weights_outside_of_the_file_are_not_pulled_into_the_store_without_them(tmp_path, make):
    path = write(tmp_path, make())

    with pytest.raises(BadInputError, match="keeps weights in other files"):
        check_network(path, find_published("mobilenet"))


def test_a_model_in_one_file_is_known_by_the_hash_of_that_file(tmp_path):
    weights = numpy_helper.from_array(np.ones((FEATURES, CLASSES), np.float32), "w")
    path = write(tmp_path, model_of([PRODUCT], [weights]))

    assert model_sha256(path) == hashlib.sha256(path.read_bytes()).hexdigest()


def test_the_facts_of_a_model_have_the_same_hash(tmp_path):
    path = write(tmp_path, as_initializer())

    assert inspect_model(path).sha256 == model_sha256(path)


def test_weights_that_move_from_one_file_to_the_next_make_another_model(tmp_path):
    half = (FEATURES, CLASSES // 2)
    parts = [outside(name, location=f"{name}.bin", shape=half) for name in ("a", "b")]
    path = write(tmp_path, model_of([helper.make_node("Concat", ["a", "b"], ["w"], axis=1), PRODUCT], parts))
    (tmp_path / "a.bin").write_bytes(bytes(256))
    (tmp_path / "b.bin").write_bytes(bytes(512))
    before = model_sha256(path)

    (tmp_path / "a.bin").write_bytes(bytes(512))
    (tmp_path / "b.bin").write_bytes(bytes(256))

    assert model_sha256(path) != before


def test_two_tensors_in_one_file_are_one_file(tmp_path):
    halves = [outside(name, offset=offset, shape=(FEATURES, CLASSES // 2)) for name, offset in (("a", 0), ("b", 256))]
    path = write(tmp_path, model_of([helper.make_node("Concat", ["a", "b"], ["w"], axis=1), PRODUCT], halves))

    own, weights = (hashlib.sha256((tmp_path / name).read_bytes()).hexdigest() for name in ("m.onnx", "w.bin"))
    assert model_sha256(path) == hashlib.sha256(f"{own}\n{weights} w.bin".encode()).hexdigest()


def test_what_stands_beside_a_model_counts_as_well(tmp_path):
    path, table = write(tmp_path, as_initializer()), tmp_path / "table.json"
    table.write_text("one")
    first = model_sha256(path, beside=(table,))

    table.write_text("other")

    assert len({first, model_sha256(path, beside=(table,)), model_sha256(path)}) == 3


def test_weights_in_a_folder_below_and_behind_a_link_are_read(tmp_path):
    (tmp_path / "blobs").mkdir()
    np.ones(FEATURES * CLASSES, np.float32).tofile(tmp_path / "blobs" / "0")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "w.bin").symlink_to("../blobs/0")  # as the caches of model hubs have it
    path = write(tmp_path, model_of([PRODUCT], [outside(location="data/w.bin")]))
    before = model_sha256(path)

    np.zeros(FEATURES * CLASSES, np.float32).tofile(tmp_path / "blobs" / "0")

    assert model_sha256(path) != before


@pytest.mark.parametrize("location", ["../w.bin", "/etc/hostname", "data/../../w.bin", ".."])
def test_weights_outside_of_the_models_folder_are_refused(tmp_path, location):
    folder = tmp_path / "model"
    folder.mkdir()
    (tmp_path / "w.bin").write_bytes(bytes(512))
    path = write(folder, model_of([PRODUCT], [outside(location=location)]))

    with pytest.raises(BadInputError, match=r"m\.onnx keeps the weights 'w' in '.*', which leaves the model's folder"):
        model_sha256(path)


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ({"location": ""}, "does not name it"),
        ({"location": "."}, "it is a folder"),
        ({"location": "w\0.bin"}, r"keeps weights in"),
        ({"offset": "many"}, "does not say in numbers"),
        ({"offset": 4}, "which has 512 of 516 bytes"),
        ({"offset": 4, "length": ""}, "which has 512 of 516 bytes"),
        ({"offset": -4}, "does not say in numbers"),
        ({"length": -512}, "does not say in numbers"),
        ({"location": "w" * 5_000}, "which cannot be looked for"),
    ],
)
def test_a_reference_that_cannot_be_followed_is_refused_in_one_line(tmp_path, entries, message):
    path = write(tmp_path, model_of([PRODUCT], [outside(**entries)]))

    with pytest.raises(BadInputError, match=message) as caught:
        model_sha256(path)

    assert "\n" not in str(caught.value)
    assert str(path) in caught.value.message


@pytest.mark.parametrize(
    ("make", "kind"),
    [
        (os.mkfifo, "it is a pipe"),
        (lambda path: path.symlink_to("/dev/zero"), "it is a device"),
        (Path.mkdir, "folder"),
    ],
    ids=["pipe", "device", "folder"],
)
def test_weights_that_are_no_file_are_refused_at_once(tmp_path, make, kind):
    path = write(tmp_path, as_initializer())
    (tmp_path / "w.bin").unlink()
    make(tmp_path / "w.bin")

    with pytest.raises(BadInputError, match=kind):
        model_sha256(path)


@pytest.mark.parametrize("place", ["tensors", "function"])
def test_large_weights_inside_of_the_file_are_not_kept_in_memory_wherever_they_are(tmp_path, place):
    large = numpy_helper.from_array(np.zeros(4 << 20, np.float32), "large")
    if place == "tensors":
        model = model_of([helper.make_node("Holder", ["x"], ["y"], domain="own", held=[large])])
    else:
        body = [helper.make_node("Constant", [], ["v"], value=large), PRODUCT]
        function = helper.make_function("own", "F", ["x", "w"], ["y"], body, [helper.make_opsetid("", 17)])
        model = model_of([helper.make_node("F", ["x"], ["y"], domain="own")], functions=[function])
    path = tmp_path / "m.onnx"
    onnx.save(model, path)
    del model, large
    tracemalloc.start()

    model_sha256(path)

    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak_bytes < 5_000_000
