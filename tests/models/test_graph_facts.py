"""Facts read off a graph: outputs that may be random, and the precision that it computes in."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from asyncbench.models.graph_facts import OutputsBehind
from asyncbench.models.graph_precision import graph_precision
from asyncbench.models.graph_reading import read_graph_facts

FEATURES = 16


def info(name, *shape, elem_type=TensorProto.FLOAT):
    return helper.make_tensor_value_info(name, elem_type, shape)


def model_of(nodes, outputs=("y",), weights=(), elem_type=TensorProto.FLOAT, functions=()):
    ends = [info(name, "N", FEATURES, elem_type=elem_type) for name in ("x", *outputs)]
    graph = helper.make_graph(nodes, "g", ends[:1], ends[1:], list(weights))
    domains = [helper.make_opsetid(domain, version) for domain, version in (("", 21), ("own", 1), ("com.microsoft", 1))]
    return helper.make_model(graph, opset_imports=domains, functions=functions)


def facts_of(tmp_path, model):
    path = tmp_path / "m.onnx"
    onnx.save(model, path)
    return read_graph_facts(path)


def number(name, value, dtype=np.float32):
    return numpy_helper.from_array(np.array(value, dtype=dtype), name)


RANDOM_NODES = {
    "RandomNormalLike": helper.make_node("RandomNormalLike", ["x"], ["r"]),
    "RandomUniformLike": helper.make_node("RandomUniformLike", ["x"], ["r"]),
    "RandomNormal": helper.make_node("RandomNormal", [], ["r"], shape=[1, FEATURES]),
    "RandomUniform": helper.make_node("RandomUniform", [], ["r"], shape=[1, FEATURES]),
    "Bernoulli": helper.make_node("Bernoulli", ["x"], ["r"]),
    "Multinomial": helper.make_node("Multinomial", ["x"], ["r"], sample_size=FEATURES),
}
ADD = helper.make_node("Add", ["x", "r"], ["y"])


class TestRandomOperators:
    @pytest.mark.parametrize("name", RANDOM_NODES)
    def test_those_that_draw_are_named_with_the_outputs_behind_them(self, tmp_path, name):
        other = helper.make_node("Relu", ["x"], ["z"])

        facts = facts_of(tmp_path, model_of([RANDOM_NODES[name], ADD, other], outputs=("y", "z")))

        assert facts.random == OutputsBehind(operators=(name,), outputs=frozenset({"y"}))

    def test_a_branch_of_an_if_counts_for_the_whole_if(self, tmp_path):
        branch = helper.make_graph([helper.make_node("RandomNormalLike", ["x"], ["b"])], "b", [], [info("b", "N", 16)])
        node = helper.make_node("If", ["c"], ["y"], then_branch=branch, else_branch=branch)

        facts = facts_of(tmp_path, model_of([node], weights=[number("c", True, np.bool_)]))

        assert facts.random == OutputsBehind(operators=("RandomNormalLike",), outputs=frozenset({"y"}))

    def test_a_function_that_calls_one_that_draws_counts(self, tmp_path):
        opsets = [helper.make_opsetid("", 21), helper.make_opsetid("own", 1)]
        inner = helper.make_function("own", "In", ["a"], ["b"], [helper.make_node("Bernoulli", ["a"], ["b"])], opsets)
        call = helper.make_node("In", ["a"], ["b"], domain="own")
        outer = helper.make_function("own", "Out", ["a"], ["b"], [call], opsets)
        node = helper.make_node("Out", ["x"], ["y"], domain="own")

        facts = facts_of(tmp_path, model_of([node], functions=[outer, inner]))

        assert facts.random == OutputsBehind(operators=("Bernoulli",), outputs=frozenset({"y"}))
        assert facts.foreign == OutputsBehind()

    @pytest.mark.parametrize(
        ("more_inputs", "weights", "is_random"),
        [
            ([], [], False),
            (["ratio"], [number("ratio", 0.5)], False),
            (["ratio", "mode"], [number("ratio", 0.5), number("mode", False, np.bool_)], False),
            (["ratio", "mode"], [number("ratio", 0.5), number("mode", True, np.bool_)], True),
            (["", "mode"], [number("mode", True, np.bool_)], True),
            (["", "mode"], [helper.make_tensor("mode", TensorProto.BOOL, [], [False])], False),
            (["", "mode"], [helper.make_tensor("mode", TensorProto.BOOL, [], [True])], True),
            (["", "x"], [], True),
        ],
    )
    def test_dropout_draws_in_training_mode_alone(self, tmp_path, more_inputs, weights, is_random):
        node = helper.make_node("Dropout", ["x", *more_inputs], ["y"])

        facts = facts_of(tmp_path, model_of([node], weights=weights))

        assert facts.random.operators == (("Dropout",) if is_random else ())

    def test_what_onnx_does_not_define_is_named_apart(self, tmp_path):
        node = helper.make_node("Sample", ["x"], ["y"], domain="com.microsoft")

        facts = facts_of(tmp_path, model_of([node]))

        assert facts.foreign == OutputsBehind(operators=("com.microsoft.Sample",), outputs=frozenset({"y"}))
        assert facts.random == OutputsBehind()


def weights(dtype, name="w", size=FEATURES):
    return numpy_helper.from_array(np.ones((size, size), dtype=dtype), name)


PRODUCT = helper.make_node("MatMul", ["x", "w"], ["y"])


def quantized(inputs=("x",), stored=np.int8):
    """A product whose named inputs come out of DequantizeLinear, with weights of that type."""
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "s", "zx"], ["qx"]),
        helper.make_node("DequantizeLinear", ["qx", "s", "zx"], ["dx"]),
        helper.make_node("DequantizeLinear", ["qw", "s"], ["dw"]),
        helper.make_node("MatMul", ["dx" if "x" in inputs else "x", "dw"], ["y"]),
    ]
    return model_of(nodes, weights=[weights(stored, "qw"), number("s", 0.1), number("zx", 0, np.int8)])


class TestPrecision:
    @pytest.mark.parametrize(("dtype", "name"), [(np.float32, "fp32"), (np.float16, "fp16"), (np.float64, "fp64")])
    def test_it_is_the_type_of_the_weights(self, dtype, name):
        assert graph_precision(model_of([PRODUCT], weights=[weights(dtype)])) == name

    def test_bfloat16_weights_are_bf16(self):
        tensor = TensorProto(name="w", data_type=TensorProto.BFLOAT16, dims=[FEATURES, FEATURES])

        assert graph_precision(model_of([PRODUCT], weights=[tensor])) == "bf16"

    def test_weights_that_are_cast_before_the_product_are_computed_with_as_what_they_are_cast_to(self):
        nodes = [helper.make_node("Cast", ["h"], ["w"], to=TensorProto.FLOAT), PRODUCT]

        assert graph_precision(model_of(nodes, weights=[weights(np.float16, "h")])) == "fp32"

    def test_a_constant_and_a_transposition_are_seen_through(self):
        nodes = [
            helper.make_node("Constant", [], ["h"], value=weights(np.float16, "h")),
            helper.make_node("Transpose", ["h"], ["w"]),
            PRODUCT,
        ]

        assert graph_precision(model_of(nodes)) == "fp16"

    def test_quantized_inputs_and_weights_make_an_int8_product(self):
        assert graph_precision(quantized()) == "int8"

    def test_weights_that_are_quantized_on_the_way_make_one_too(self):
        nodes = [
            helper.make_node("QuantizeLinear", ["x", "s", "z"], ["qx"]),
            helper.make_node("DequantizeLinear", ["qx", "s", "z"], ["dx"]),
            helper.make_node("QuantizeLinear", ["w", "s", "z"], ["qw"]),
            helper.make_node("DequantizeLinear", ["qw", "s", "z"], ["dw"]),
            helper.make_node("MatMul", ["dx", "dw"], ["y"]),
        ]

        model = model_of(nodes, weights=[weights(np.float32), number("s", 0.1), number("z", 0, np.int8)])

        assert graph_precision(model) == "int8"

    def test_quantized_weights_alone_are_told_beside_the_arithmetic(self):
        assert graph_precision(quantized(inputs=())) == "fp32 with int8 weights"

    def test_operators_on_integers_are_int8(self):
        node = helper.make_node("QLinearMatMul", ["qx", "s", "z", "w", "s", "z", "s", "z"], ["y"])

        assert graph_precision(model_of([node], weights=[weights(np.int8)])) == "int8"

    def test_products_of_a_few_bits_are_told_by_their_number(self):
        node = helper.make_node(
            "MatMulNBits", ["x", "q", "s"], ["y"], domain="com.microsoft", bits=4, K=64, N=64, block_size=32
        )
        scales = numpy_helper.from_array(np.ones(128, np.float16), "s")

        assert graph_precision(model_of([node], weights=[scales])) == "fp16 with int4 weights"

    def test_the_larger_part_of_the_weights_gives_the_name_and_its_share_is_told(self):
        nodes = [helper.make_node("MatMul", ["x", "w"], ["a"]), helper.make_node("MatMul", ["a", "v"], ["y"])]

        model = model_of(nodes, weights=[weights(np.float16, size=30), weights(np.float32, "v", size=10)])

        assert graph_precision(model) == "fp16 (90 % of the weights)"

    def test_weights_inside_of_a_branch_count(self):
        branch = helper.make_graph(
            [helper.make_node("MatMul", ["x", "w"], ["b"])], "b", [], [info("b", "N", 16)], [weights(np.float16)]
        )
        node = helper.make_node("If", ["c"], ["y"], then_branch=branch, else_branch=branch)

        assert graph_precision(model_of([node], weights=[number("c", True, np.bool_)])) == "fp16"

    def test_without_weights_the_inputs_tell(self):
        node = helper.make_node("Relu", ["x"], ["y"])

        assert graph_precision(model_of([node], elem_type=TensorProto.FLOAT16)) == "fp16"
        assert graph_precision(model_of([node], elem_type=TensorProto.INT32)) is None

    def test_nodes_in_a_circle_and_without_inputs_end(self):
        nodes = [
            helper.make_node("Identity", ["w"], ["v"]),
            helper.make_node("Identity", ["v"], ["w"]),
            PRODUCT,
            helper.make_node("MatMul", [], ["u"]),
            helper.make_node("Conv", ["x"], ["t"]),
        ]

        assert graph_precision(model_of(nodes)) == "fp32"
