from __future__ import annotations

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

from asyncbench.backends.tensorrt.build.onnx_cast import cast_graph, to_bfloat16_bits
from asyncbench.errors import BadInputError
from asyncbench.sweep.cell import Precision

FLOAT = TensorProto.FLOAT


def model(nodes, initializers=(), *, outputs=("output",)) -> onnx.ModelProto:
    graph = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info("input", FLOAT, ["N", 2, 4, 4])],
        [helper.make_tensor_value_info(name, FLOAT, ["N", "C", "H", "W"]) for name in outputs],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in initializers],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def images() -> np.ndarray:
    return np.random.default_rng(1).standard_normal((3, 2, 4, 4), dtype=np.float32)


def run(network: onnx.ModelProto) -> list[np.ndarray]:
    return ReferenceEvaluator(network).run(None, {"input": images()})


def float_types(network: onnx.ModelProto) -> set[int]:
    return {tensor.data_type for tensor in network.graph.initializer} & {
        FLOAT,
        TensorProto.FLOAT16,
        TensorProto.BFLOAT16,
    }


def test_an_fp16_graph_computes_in_fp16_and_keeps_its_float32_inputs_and_outputs():
    original = model([helper.make_node("Mul", ["input", "factor"], ["output"])], [("factor", np.float32(1 / 3))])

    cast = cast_graph(original, Precision.FP16)

    expected = (images().astype(np.float16) * np.float16(1 / 3)).astype(np.float32)
    (output,) = run(cast)
    assert output.dtype == np.float32
    np.testing.assert_array_equal(output, expected)
    onnx.checker.check_model(cast, full_check=True)


@pytest.mark.parametrize("precision", [Precision.FP16, Precision.BF16])
def test_no_weight_stays_float32(precision):
    original = model(
        [
            helper.make_node("Constant", [], ["half"], value_float=0.5),
            helper.make_node("Constant", [], ["one"], value=numpy_helper.from_array(np.float32(1))),
            helper.make_node("Mul", ["input", "half"], ["scaled"]),
            helper.make_node("Add", ["scaled", "one"], ["shifted"]),
            helper.make_node("Mul", ["shifted", "factor"], ["output"]),
        ],
        [("factor", np.float32(2))],
    )

    cast = cast_graph(original, precision)

    assert float_types(cast) == {TensorProto.FLOAT16 if precision is Precision.FP16 else TensorProto.BFLOAT16}
    assert float_types(original) == {FLOAT}


def test_an_output_that_is_read_inside_the_graph_is_one_tensor_there():
    original = model(
        [helper.make_node("Relu", ["input"], ["first"]), helper.make_node("Neg", ["first"], ["second"])],
        outputs=("first", "second"),
    )

    first, second = run(cast_graph(original, Precision.FP16))

    np.testing.assert_array_equal(second, -first)
    assert first.dtype == second.dtype == np.float32


def test_resize_keeps_float32_scales_also_where_others_read_the_same_constant():
    scales = np.array([1, 1, 2, 2], dtype=np.float32)
    original = model(
        [
            helper.make_node("Resize", ["input", "", "scales"], ["large"], mode="nearest"),
            helper.make_node("ReduceMax", ["scales"], ["largest"], keepdims=0),
            helper.make_node("Mul", ["large", "largest"], ["output"]),
        ],
        [("scales", scales)],
    )

    cast = cast_graph(original, Precision.FP16)

    (output,) = run(cast)
    assert output.shape == (3, 2, 8, 8)
    assert float_types(cast) == {FLOAT, TensorProto.FLOAT16}
    onnx.checker.check_model(cast, full_check=True)


def test_a_cast_to_float32_inside_the_graph_casts_to_the_new_type():
    original = model(
        [
            helper.make_node("Shape", ["input"], ["shape"]),
            helper.make_node("Cast", ["shape"], ["sizes"], to=FLOAT),
            helper.make_node("ReduceMax", ["sizes"], ["largest"], keepdims=0),
            helper.make_node("Mul", ["input", "largest"], ["output"]),
        ]
    )

    cast = cast_graph(original, Precision.FP16)

    onnx.checker.check_model(cast, full_check=True)
    assert run(cast)[0].dtype == np.float32


def test_a_weight_beyond_fp16_is_refused_with_its_name():
    original = model([helper.make_node("Mul", ["input", "factor"], ["output"])], [("factor", np.float32(1e5))])

    with pytest.raises(BadInputError, match=r"weight 'factor' has the value 100000, fp16 ends at 65504: use .* bf16"):
        cast_graph(original, Precision.FP16)


def test_infinities_are_kept_because_masks_are_made_of_them():
    original = model([helper.make_node("Max", ["input", "floor"], ["output"])], [("floor", np.float32(-np.inf))])

    (output,) = run(cast_graph(original, Precision.FP16))

    np.testing.assert_array_equal(output, images().astype(np.float16).astype(np.float32))


def test_a_graph_with_subgraphs_is_refused():
    branch = helper.make_graph(
        [helper.make_node("Identity", ["input"], ["branch"])],
        "branch",
        [],
        [helper.make_tensor_value_info("branch", FLOAT, None)],
    )
    original = model(
        [helper.make_node("If", ["flag"], ["output"], name="choice", then_branch=branch, else_branch=branch)],
        [("flag", np.bool_(True))],
    )

    with pytest.raises(BadInputError, match="If 'choice' has a subgraph"):
        cast_graph(original, Precision.FP16)


@given(hnp.arrays(np.float32, st.integers(1, 20), elements=st.floats(width=32)))
def test_bfloat16_bits_are_those_of_the_reference_library(values):
    ml_dtypes = pytest.importorskip("ml_dtypes", reason="comes with newer versions of onnx")

    ours = to_bfloat16_bits(values)

    with np.errstate(over="ignore", invalid="ignore"):
        reference = values.astype(ml_dtypes.bfloat16).view(np.uint16)
    is_number = ~np.isnan(values)
    np.testing.assert_array_equal(ours[is_number], reference[is_number])
    assert (ours[~is_number] == 0x7FC0).all()
