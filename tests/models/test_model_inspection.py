from __future__ import annotations

import hashlib
import os
import tracemalloc

import numpy as np
import onnx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from asyncbench.errors import BadInputError
from asyncbench.models.catalog import find_model
from asyncbench.models.graphs import write_model
from asyncbench.models.identification import identify
from asyncbench.models.inspection import check_batches, inspect_model
from asyncbench.tensors import TensorSpec

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


def _varint(value):
    encoded = bytearray()
    while value >= 0x80:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*encoded, value])


def _field(number, payload):
    """Return a length-delimited field as protobuf writes it."""
    return _varint(number << 3 | 2) + _varint(len(payload)) + payload


def _refusal(path):
    with pytest.raises(BadInputError) as caught:
        inspect_model(path)
    assert "\n" not in str(caught.value)
    assert str(path) in caught.value.message
    assert caught.value.remedy
    return caught.value.message


def _remedy(path):
    with pytest.raises(BadInputError) as caught:
        inspect_model(path)
    return caught.value.remedy


@pytest.mark.parametrize("names", [("N", "M"), ("unk__13", "unk__14"), ("batch _size", "batch_size"), ("N", None)])
def test_names_of_free_axes_are_labels(write_onnx, names):
    node = helper.make_node("Concat", ["a", "b"], ["y"], axis=1)

    facts = inspect_model(write_onnx([node], {"a": [names[0], 4], "b": [names[1], 4]}, {"y": ["other", 8]}))

    assert facts.fixed_batch is None
    assert facts.outputs == (TensorSpec(name="y", item_shape=(8,), dtype="float32"),)


def test_an_input_that_fixes_the_batch_fixes_it_for_those_that_leave_it_free(write_onnx):
    node = helper.make_node("Add", ["a", "b"], ["y"])

    assert inspect_model(write_onnx([node], {"a": ["N", 4], "b": [1, 4]}, {"y": ["N", 4]})).fixed_batch == 1


@pytest.mark.parametrize("declared", [["a", "b"], None])
def test_sizes_that_the_graph_computes_from_its_input_are_followed(write_onnx, declared):
    nodes = [
        helper.make_node("Shape", ["x"], ["all"]),
        helper.make_node("Gather", ["all", "index"], ["size"]),
        helper.make_node("Unsqueeze", ["size", "axes"], ["first"]),
        helper.make_node("Concat", ["first", "rest"], ["shape"], axis=0),
        helper.make_node("Reshape", ["x", "shape"], ["y"]),
    ]
    constants = {"index": 0, "axes": [0], "rest": [-1]}
    weights = [numpy_helper.from_array(np.array(value, dtype=np.int64), name) for name, value in constants.items()]

    facts = inspect_model(write_onnx(nodes, {"x": ["N", 4, 16]}, {"y": declared}, weights=weights, opset=17))

    assert facts.outputs == (TensorSpec(name="y", item_shape=(64,), dtype="float32"),)


def test_an_output_of_a_size_that_the_file_does_not_tell_is_left_to_the_engine(write_onnx):
    nodes = [helper.make_node("Relu", ["x"], ["y"]), helper.make_node("Magic", ["x"], ["z"], domain="com.example")]

    facts = inspect_model(
        write_onnx(nodes, {"x": ["N", 4]}, {"y": ["N", 4], "z": ["N", "d"]}, domains=("", "com.example"))
    )

    assert [output.name for output in facts.outputs] == ["y"]


def test_a_large_table_of_numbers_without_its_values_does_not_stop_the_inference_of_shapes(write_onnx):
    table = numpy_helper.from_array(np.arange(5_000, dtype=np.int64), "table")
    node = helper.make_node("Gather", ["table", "x"], ["y"])

    facts = inspect_model(
        write_onnx([node], {"x": ["N", 4]}, {"y": None}, weights=[table], elem_type=TensorProto.INT64)
    )

    assert facts.outputs[0].item_shape == (4,)


def test_an_output_of_items_of_size_0_is_told_as_it_is(write_onnx):
    node = helper.make_node("Slice", ["x", "zero", "zero", "one"], ["y"])
    constants = {"zero": 0, "one": 1}
    weights = [numpy_helper.from_array(np.array([value], dtype=np.int64), name) for name, value in constants.items()]

    facts = inspect_model(write_onnx([node], {"x": ["N", 4]}, {"y": None}, weights=weights))

    assert facts.outputs[0].item_shape == (0,)


class TestABatchThatTheGraphFixesInside:
    @pytest.fixture
    def write_reshape(self, write_onnx):
        def write(batch):
            shape = numpy_helper.from_array(np.array([batch, -1, 16], dtype=np.int64), "shape")
            node = helper.make_node("Reshape", ["x", "shape"], ["y"])
            return write_onnx([node], {"x": ["N", 4, 16]}, {"y": ["N", 4, 16]}, weights=[shape])

        return write

    @pytest.mark.parametrize("batch", [1, 4])
    def test_is_the_one_that_it_runs_at(self, write_reshape, batch):
        facts = inspect_model(write_reshape(batch))

        check_batches(facts, (batch,))
        assert facts.fixed_batch == batch
        assert facts.outputs[0].item_shape == (4, 16)

    def test_is_refused_at_others_with_what_shows_it(self, write_reshape):
        facts = inspect_model(write_reshape(1))

        with pytest.raises(BadInputError) as caught:
            check_batches(facts, (1, 3))

        assert "output 'y' has the shape (1, 12, 16) at batch 3: the graph fixes the batch inside" in str(caught.value)
        assert "--batch 1" in caught.value.remedy

    @pytest.fixture
    def constant_shape(self, write_onnx):
        """A Reshape to (8, 4, 16), which a list that is the same at any batch looks like."""
        shape = numpy_helper.from_array(np.array([8, 4, 16], dtype=np.int64), "shape")
        node = helper.make_node("Reshape", ["x", "shape"], ["y"])
        return write_onnx([node], {"x": ["N", 4, 16]}, {"y": ["N", 4, 16]}, weights=[shape])

    def test_is_believed_of_whoever_asks_for_that_batch_alone(self, constant_shape):
        facts = inspect_model(constant_shape)

        check_batches(facts, (8,))
        assert facts.fixed_batch is None  # nobody shall be led to it who did not ask
        assert facts.outputs[0].item_shape == (4, 16)

    @pytest.mark.parametrize("batches", [(1,), (8, 16)])
    def test_is_said_with_the_batch_to_ask_for_where_that_is_not_sure(self, constant_shape, batches):
        with pytest.raises(BadInputError) as caught:
            check_batches(inspect_model(constant_shape), batches)

        assert "has no batch axis: at batch 3 it has the shape (8, 4, 16)" in caught.value.message
        assert "if the graph fixes the batch inside, use --batch 8" in caught.value.remedy


class TestWhatCannotBeUsed:
    @pytest.mark.parametrize("name", [b"first", b"last", b"axis", b"Relu", b"node"])
    def test_a_name_that_is_no_text(self, write_onnx, name):
        node = helper.make_node("Relu", ["first"], ["last"], name="node")
        path = write_onnx([node], {"first": ["axis", 4]}, {"last": ["axis", 4]})
        path.write_bytes(path.read_bytes().replace(name, b"\xb6" * len(name)))

        assert "a name in its graph that is not UTF-8" in _refusal(path)

    def test_a_free_axis_whose_name_has_line_breaks_in_one_line(self, write_relu):
        with pytest.raises(BadInputError) as caught:
            inspect_model(write_relu(["N", "two\nlines"]))

        assert r"its shape is (N, two\nlines)" in caught.value.message

    def test_a_graph_without_an_output(self, write_onnx):
        assert "has no output" in _refusal(write_onnx([helper.make_node("Relu", ["x"], ["y"])], {"x": ["N", 4]}, {}))

    def test_a_file_that_is_not_there(self, tmp_path):
        assert "No such file" in _refusal(tmp_path / "none.onnx")

    def test_a_folder(self, tmp_path):
        assert "it is a folder" in _refusal(tmp_path)

    def test_a_pipe_without_waiting_for_whoever_writes_to_it(self, tmp_path):
        os.mkfifo(tmp_path / "pipe.onnx")

        assert "it is a pipe" in _refusal(tmp_path / "pipe.onnx")

    @pytest.mark.parametrize(
        ("start", "said"),
        [
            (b"", "a field of the number 0"),
            (b"\x08\x08", "a field of the number 0"),
            (b"\x08\x01" * 1_000, "field 1 twice"),
            (b"\x08\x08\x32\x80\x80\x80\x90\x01", "a field of 288 MiB that is no tensor"),
        ],
        ids=["zeros", "a head before zeros", "one field again and again", "one large field"],
    )
    def test_a_large_file_of_nothing_without_reading_it_all(self, tmp_path, start, said):
        path = tmp_path / "nothing.onnx"
        with path.open("wb") as file:
            file.write(start)
            file.truncate(max(300 << 20, len(start)) if not start.startswith(b"\x08\x01") else len(start))

        assert said in _refusal(path)

    def test_a_file_of_more_fields_than_a_graph_has(self, tmp_path):
        nodes = b"\x0a\x00" * 500_001
        path = tmp_path / "many.onnx"
        path.write_bytes(b"\x3a" + _varint(len(nodes)) + nodes)

        assert "more than 500,000 fields" in _refusal(path)

    @pytest.mark.parametrize("padding", [0, 5_000])
    def test_graphs_in_graphs_beyond_what_protobuf_reads(self, tmp_path, padding):
        graph = _field(2, bytes(padding) or b"inner")
        for _ in range(400):
            graph = _field(1, _field(5, _field(6, graph)))
        path = tmp_path / "nested.onnx"
        path.write_bytes(b"\x08\x08" + _field(7, graph))

        assert "nested more than 100 deep" in _refusal(path)

    @pytest.mark.parametrize(
        ("content", "said"),
        [
            (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n", "a Git LFS pointer"),
            (b"\n<!DOCTYPE html><html></html>", "a web page"),
            (b"PK\x03\x04" + bytes(60), "a zip archive"),
            (b"\x80\x02}q\x00.", "a Python pickle"),
            (b"ftrt" + bytes(60), "an engine of TensorRT"),
            (b"\x1c\0\0\0TFL3" + bytes(60), "a TensorFlow Lite model"),
            ((2).to_bytes(8, "little") + b"{}", "not an ONNX model"),
            ((9).to_bytes(8, "little") + b'{"a":1}  ', "a safetensors file"),
            (b"\x1f\x8b\x08" + bytes(60), "compressed with gzip"),
            (b"a line of text\n", "is a text"),
        ],
    )
    def test_a_file_that_is_known_for_something_else(self, tmp_path, content, said):
        path = tmp_path / "other.onnx"
        path.write_bytes(content)

        assert said in _refusal(path)

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

        assert _refusal(path)

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

    def test_inputs_that_fix_different_batches(self, write_onnx):
        node = helper.make_node("Concat", ["a", "b"], ["y"], axis=1)

        message = _refusal(write_onnx([node], {"a": [1, 4], "b": [2, 4]}, {"y": [1, 8]}))

        assert "no batch that its inputs share, by their first axis: in 'a' it is 1, in 'b' it is 2" in message

    def test_a_free_axis_beside_the_batch_with_the_command_that_fixes_it(self, write_relu):
        path = write_relu(["N", 3, "height", 8])

        message = _refusal(path)

        assert "axis 2 of input 'x'" in message
        assert "has no fixed size: its shape is (N, 3, height, 8)" in message
        assert "make_dynamic_shape_fixed --dim_param height --dim_value NUMBER" in _remedy(path)

    def test_a_free_axis_without_a_name_is_fixed_by_its_input(self, write_relu):
        assert "--input_name x --input_shape 1,3,NUMBER,8" in _remedy(write_relu(["N", 3, None, 8]))

    @pytest.mark.parametrize("name", ["batch", "N", "bs", "batch_size", "unk_batch"])
    def test_a_batch_that_is_another_axis_is_said(self, write_relu, name):
        path = write_relu([5, name, 16])

        assert f"has no fixed size: its shape is (5, {name}, 16); axis 1 seems to be the batch" in _refusal(path)
        assert "as the first axis" in _remedy(path)

    def test_a_first_axis_of_size_0(self, write_relu):
        path = write_relu([0, 16])

        assert "the first axis of input 'x'" in _refusal(path)
        assert "has the size 0" in _refusal(path)
        assert _remedy(path) == "export it with a free one"

    def test_an_input_of_items_of_size_0(self, write_relu):
        assert "axis 1 of input 'x'" in _refusal(write_relu(["N", 0]))

    def test_an_input_that_no_memory_holds(self, write_relu):
        assert "which no memory holds" in _refusal(write_relu(["N", 1 << 40, 1 << 40]))

    def test_an_output_whose_size_depends_on_the_data(self, write_onnx):
        node = helper.make_node("NonZero", ["x"], ["y"])

        path = write_onnx([node], {"x": ["N", 4]}, {"y": [2, None]}, elem_type=TensorProto.INT64)

        assert "output 'y'" in _refusal(path)
        assert "at batch 3 it has the shape (2, ?)" in _refusal(path)

    def test_an_output_without_a_batch_axis(self, write_onnx):
        node = helper.make_node("ReduceSum", ["x"], ["y"], keepdims=0)

        assert "no batch axis: output 'y' is a scalar" in _refusal(write_onnx([node], {"x": ["N", 4]}, {"y": []}))

    def test_an_output_that_folds_the_batch_into_another_axis(self, write_onnx):
        shape = numpy_helper.from_array(np.array([-1, 2], dtype=np.int64), "shape")
        node = helper.make_node("Reshape", ["x", "shape"], ["y"])

        message = _refusal(write_onnx([node], {"x": ["N", 4]}, {"y": [None, 2]}, weights=[shape]))

        assert "output 'y'" in message
        assert "has no batch axis: at batch 3 it has the shape (6, 2)" in message

    def test_an_output_that_is_the_same_at_any_batch(self, write_onnx):
        nodes = [helper.make_node("Relu", ["x"], ["y"]), helper.make_node("Identity", ["anchors"], ["z"])]

        message = _refusal(
            write_onnx(nodes, {"x": ["N", 4]}, {"y": ["N", 4], "z": [1917, 4]}, weights=[_weights("anchors", 1917, 4)])
        )

        assert "has no batch axis: at batch 3 it has the shape (1917, 4)" in message

    @pytest.mark.parametrize("elem_type", [TensorProto.STRING, TensorProto.BFLOAT16, TensorProto.COMPLEX64])
    def test_a_type_that_is_no_number_of_numpy(self, write_relu, elem_type):
        message = _refusal(write_relu(["N", 4], elem_type=elem_type))

        assert f"is {TensorProto.DataType.Name(elem_type)}, which is no number that numpy has" in message

    def test_a_type_of_a_number_that_nobody_knows(self, write_relu):
        assert "of the type 99" in _refusal(write_relu(["N", 4], elem_type=99))

    def test_an_output_of_zipmap_with_the_option_that_leaves_it_out(self, write_onnx):
        node = helper.make_node("ZipMap", ["x"], ["y"], domain="ai.onnx.ml", classlabels_int64s=[0, 1])
        path = write_onnx([node], {"x": ["N", 2]}, {}, domains=("", "ai.onnx.ml"))
        model = onnx.load(path)
        of_maps = model.graph.output.add(name="y").type.sequence_type.elem_type.map_type
        of_maps.key_type = TensorProto.INT64
        of_maps.value_type.tensor_type.elem_type = TensorProto.FLOAT
        onnx.save(model, path)

        assert "output 'y' of" in _refusal(path)
        assert "is a sequence, not a tensor" in _refusal(path)
        assert "without ZipMap" in _remedy(path)
        assert "'zipmap': False" in _remedy(path)

    @pytest.mark.parametrize("kind", ["sequence_type", "optional_type"])
    def test_an_input_that_is_no_tensor(self, write_relu, kind):
        path = write_relu(["N", 4])
        model = onnx.load(path)
        model.graph.input[0].ClearField("type")
        getattr(model.graph.input[0].type, kind).elem_type.tensor_type.elem_type = TensorProto.FLOAT
        path.write_bytes(model.SerializeToString())

        assert f"is {'a sequence' if kind == 'sequence_type' else 'optional'}, not a tensor" in _refusal(path)

    def test_a_node_of_a_domain_that_the_file_does_not_import(self, write_onnx):
        node = helper.make_node("Magic", ["x"], ["y"], domain="com.example")

        assert "not a consistent ONNX model" in _refusal(write_onnx([node], {"x": ["N", 4]}, {"y": ["N", 4]}))

    def test_a_network_without_an_input(self, write_onnx):
        node = helper.make_node("Constant", [], ["y"], value_floats=[1.0, 2.0])

        assert "has no input" in _refusal(write_onnx([node], {}, {"y": [2]}))
