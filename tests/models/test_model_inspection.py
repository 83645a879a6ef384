from __future__ import annotations

import hashlib
import tracemalloc

import numpy as np
import onnx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from asyncbench.backends.base import TensorSpec
from asyncbench.errors import BadInputError
from asyncbench.models.catalog import find_model
from asyncbench.models.graphs import write_model
from asyncbench.models.identification import identify
from asyncbench.models.inspection import check_batches, inspect_model

_PUBLISHED = {
    "mobilenet": "mobilenet_v1_1.0_224.onnx",
    "resnet50": "resnet50_v1.onnx",
    "ssdmobilenet": "ssd_mobilenet_v1_coco_300.onnx",
}

every_network = pytest.mark.parametrize("name", sorted(_PUBLISHED))


def _weights(name, *shape):
    return numpy_helper.from_array(np.ones(shape, dtype=np.float32), name)


@pytest.mark.slow
@every_network
def test_our_network_has_the_work_that_the_catalogue_says_and_is_recognized(tmp_path, name):
    facts = inspect_model(write_model(name, tmp_path, 0))

    assert facts.multiply_accumulates == find_model(name).multiply_accumulates
    assert facts.parameters == pytest.approx(find_model(name).parameters, rel=0.01)
    assert identify(facts) == find_model(name)


@pytest.mark.parametrize(("name", "expected"), [("mobilenet", 569e6), ("resnet50", 3.86e9), ("ssdmobilenet", 1.24e9)])
def test_the_published_network_has_the_published_work_and_is_recognized(shared_folder, name, expected):
    facts = inspect_model(shared_folder / "models" / _PUBLISHED[name])

    assert facts.multiply_accumulates == pytest.approx(expected, rel=0.005)
    assert facts.multiply_accumulates == find_model(name).multiply_accumulates
    assert identify(facts) == find_model(name)


def test_facts_of_a_network_with_a_free_batch(write_relu):
    path = write_relu(["N", 3, 8, 8])

    facts = inspect_model(path)

    assert facts.inputs == (TensorSpec(name="x", item_shape=(3, 8, 8), dtype="float32"),)
    assert facts.outputs == (TensorSpec(name="y", item_shape=(3, 8, 8), dtype="float32"),)
    assert facts.fixed_batch is None
    assert facts.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert identify(facts) is None


def test_any_batch_suits_a_free_one(write_relu):
    check_batches(inspect_model(write_relu([None, 4])), (1, 7, 64))


def test_a_fixed_batch_suits_itself_and_no_other(write_relu):
    facts = inspect_model(write_relu([4, 8]))

    check_batches(facts, (4,))
    with pytest.raises(BadInputError, match="at batch 4 only, not at 2, 8") as caught:
        check_batches(facts, (2, 4, 8))
    assert "--batch 4" in caught.value.remedy


@pytest.mark.parametrize("batch", ["N", 1, 5])
def test_work_is_counted_for_one_item(write_onnx, batch):
    nodes = [
        helper.make_node("Conv", ["x", "w1"], ["a"], strides=[2, 2], group=2, name="conv"),
        helper.make_node("ConvTranspose", ["a", "w2"], ["b"]),
        helper.make_node("Flatten", ["b"], ["c"]),
        helper.make_node("Gemm", ["c", "w3"], ["d"], transB=1),
        helper.make_node("MatMul", ["d", "w4"], ["y"]),
    ]
    weights = [_weights("w1", 6, 2, 3, 3), _weights("w2", 6, 2, 2, 2), _weights("w3", 10, 50), _weights("w4", 10, 7)]

    facts = inspect_model(write_onnx(nodes, {"x": [batch, 4, 9, 9]}, {"y": [batch, 7]}, weights=weights))

    conv, transposed = (6 * 4 * 4) * (2 * 3 * 3), (6 * 4 * 4) * (2 * 2 * 2)
    assert facts.multiply_accumulates == conv + transposed + 10 * 50 + 7 * 10
    assert facts.parameters == 6 * 2 * 9 + 6 * 2 * 4 + 10 * 50 + 10 * 7


def test_an_operator_that_nobody_knows_is_accepted_without_a_count(write_onnx):
    node = helper.make_node("Magic", ["x"], ["y"], domain="com.example")

    facts = inspect_model(write_onnx([node], {"x": ["N", 4]}, {"y": ["N", 2]}, domains=("", "com.example")))

    assert facts.multiply_accumulates is None
    assert facts.outputs[0].item_shape == (2,)
    assert identify(facts) is None


def test_a_product_that_lacks_a_factor_is_not_counted(write_onnx):
    node = helper.make_node("MatMul", ["x"], ["y"])

    assert inspect_model(write_onnx([node], {"x": ["N", 4]}, {"y": ["N", 4]})).multiply_accumulates is None


def test_weights_that_an_old_file_lists_as_inputs_are_not_fed(write_onnx):
    node = helper.make_node("MatMul", ["x", "w"], ["y"])

    facts = inspect_model(
        write_onnx([node], {"x": ["N", 4], "w": [4, 2]}, {"y": ["N", 2]}, weights=[_weights("w", 4, 2)])
    )

    assert [spec.name for spec in facts.inputs] == ["x"]


def test_a_large_constant_that_decides_a_shape_is_still_seen(write_onnx):
    shape = numpy_helper.from_array(np.array([0, 2, -1], dtype=np.int64), "shape")
    nodes = [helper.make_node("MatMul", ["x", "w"], ["a"]), helper.make_node("Reshape", ["a", "shape"], ["y"])]

    facts = inspect_model(
        write_onnx(nodes, {"x": ["N", 64]}, {"y": ["N", None, None]}, weights=[_weights("w", 64, 64), shape])
    )

    assert facts.outputs[0].item_shape == (2, 32)


def test_weights_are_not_kept_in_memory(tmp_path):
    path = write_model("ssdmobilenet", tmp_path, 0)
    tracemalloc.start()

    inspect_model(path)

    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert path.stat().st_size > 25_000_000
    assert peak_bytes < 5_000_000


class TestExternalData:
    @pytest.fixture
    def path(self, tmp_path):
        node = helper.make_node("MatMul", ["x", "w"], ["y"])
        ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", 64]) for name in ("x", "y")]
        model = helper.make_model(helper.make_graph([node], "g", ends[:1], ends[1:], [_weights("w", 64, 64)]))
        path = tmp_path / "model.onnx"
        onnx.save(model, path, save_as_external_data=True, location="weights.bin", size_threshold=0)
        return path

    def test_it_is_part_of_the_hash(self, path):
        before = inspect_model(path)
        (path.parent / "weights.bin").write_bytes(bytes(64 * 64 * 4))

        after = inspect_model(path)

        assert before.parameters == after.parameters == 64 * 64
        assert before.sha256 != after.sha256

    def test_a_missing_file_is_named(self, path):
        (path.parent / "weights.bin").unlink()

        with pytest.raises(BadInputError, match=r"weights\.bin, which is missing") as caught:
            inspect_model(path)
        assert "beside the model" in caught.value.remedy


def _refusal(path):
    with pytest.raises(BadInputError) as caught:
        inspect_model(path)
    assert "\n" not in str(caught.value)
    assert str(path) in caught.value.message
    assert caught.value.remedy
    return caught.value.message


class TestWhatCannotBeUsed:
    def test_a_file_that_is_not_there(self, tmp_path):
        assert "No such file" in _refusal(tmp_path / "none.onnx")

    def test_a_folder(self, tmp_path):
        assert "Is a directory" in _refusal(tmp_path)

    def test_an_empty_file(self, tmp_path):
        path = tmp_path / "empty.onnx"
        path.touch()

        assert "not an ONNX model" in _refusal(path)

    @given(content=st.binary(max_size=300))
    @settings(
        max_examples=settings.default.max_examples * 3, suppress_health_check=[HealthCheck.function_scoped_fixture]
    )
    def test_bytes_of_something_else(self, tmp_path, content):
        path = tmp_path / "noise.onnx"
        path.write_bytes(content)

        assert "not an ONNX model" in _refusal(path)

    @given(kept_ratio=st.floats(min_value=0, max_value=1, exclude_max=True))
    @settings(
        max_examples=settings.default.max_examples // 2, suppress_health_check=[HealthCheck.function_scoped_fixture]
    )
    def test_a_file_that_is_cut_off(self, shared_folder, tmp_path, kept_ratio):
        whole = (shared_folder / "models" / _PUBLISHED["mobilenet"]).read_bytes()
        path = tmp_path / "cut.onnx"
        path.write_bytes(whole[: int(len(whole) * kept_ratio)])

        assert "cut off" in _refusal(path)

    def test_a_scalar_input(self, write_relu):
        assert "no batch axis: input 'x' is a scalar" in _refusal(write_relu([]))

    def test_an_input_without_a_shape(self, write_relu):
        assert "input 'x' has no shape" in _refusal(write_relu(None))

    @pytest.mark.parametrize(("left", "right"), [("N", "M"), ("N", 1), (1, 2)])
    def test_inputs_that_disagree_about_the_batch(self, write_onnx, left, right):
        node = helper.make_node("Concat", ["a", "b"], ["y"], axis=1)

        message = _refusal(write_onnx([node], {"a": [left, 4], "b": [right, 4]}, {"y": [left, 8]}))

        assert f"'a' has {left!r}, 'b' has {right!r}" in message

    def test_a_free_axis_beside_the_batch(self, write_relu):
        message = _refusal(write_relu(["N", 3, "height", 8]))

        assert "axis 2 of input 'x'" in message
        assert "(N, 3, height, 8)" in message

    def test_an_output_whose_size_depends_on_the_data(self, write_onnx):
        node = helper.make_node("NonZero", ["x"], ["y"])

        assert "output 'y'" in _refusal(write_onnx([node], {"x": ["N", 4]}, {"y": [2, None]}))

    def test_an_output_without_a_batch_axis(self, write_onnx):
        node = helper.make_node("ReduceSum", ["x"], ["y"], keepdims=0)

        assert "no batch axis: output 'y' is a scalar" in _refusal(write_onnx([node], {"x": ["N", 4]}, {"y": []}))

    def test_an_output_that_folds_the_batch_into_another_axis(self, write_onnx):
        shape = numpy_helper.from_array(np.array([-1, 2], dtype=np.int64), "shape")
        node = helper.make_node("Reshape", ["x", "shape"], ["y"])

        assert "no batch axis: output 'y'" in _refusal(
            write_onnx([node], {"x": ["N", 4]}, {"y": [None, 2]}, weights=[shape])
        )

    @pytest.mark.parametrize("elem_type", [TensorProto.STRING, TensorProto.BFLOAT16])
    def test_a_type_that_numpy_does_not_have(self, write_relu, elem_type):
        message = _refusal(write_relu(["N", 4], elem_type=elem_type))

        assert f"is {TensorProto.DataType.Name(elem_type)}, which numpy does not have" in message

    def test_a_node_of_a_domain_that_the_file_does_not_import(self, write_onnx):
        node = helper.make_node("Magic", ["x"], ["y"], domain="com.example")

        assert "not a consistent ONNX model" in _refusal(write_onnx([node], {"x": ["N", 4]}, {"y": ["N", 4]}))

    def test_a_network_without_an_input(self, write_onnx):
        node = helper.make_node("Constant", [], ["y"], value_floats=[1.0, 2.0])

        assert "has no input" in _refusal(write_onnx([node], {}, {"y": [2]}))
