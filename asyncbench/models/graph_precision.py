"""Precision in which a graph computes with its weights, whatever was asked of the runtime."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace

from onnx import ModelProto, NodeProto, TensorProto

from asyncbench.models.graph_walk import nodes_of, tensors_of

# Operators with weights of their own, and which of their inputs those may be.
_WEIGHTED = {
    "Conv": (1,),
    "ConvTranspose": (1,),
    "Gemm": (0, 1),
    "MatMul": (0, 1),
    "FusedConv": (1,),
    "FusedGemm": (0, 1),
    "FusedMatMul": (0, 1),
    "Attention": (1,),
    "LSTM": (1, 2),
    "GRU": (1, 2),
    "RNN": (1, 2),
}
# The same of operators that compute on integers.
_INTEGER = {
    "QLinearConv": (3,),
    "QLinearMatMul": (0, 3),
    "ConvInteger": (1,),
    "MatMulInteger": (0, 1),
    "MatMulIntegerToFloat": (0, 1),
    "DynamicQuantizeMatMul": (1,),
    "DynamicQuantizeLSTM": (1, 2),
    "QGemm": (0, 3),
    "QAttention": (1,),
}
# What hands weights on without computing with them.
_PASSES_ON = frozenset({"Identity", "Transpose", "Reshape", "Squeeze", "Unsqueeze", "Flatten"})
_NAMES: dict[int, str] = {
    TensorProto.FLOAT: "fp32",
    TensorProto.FLOAT16: "fp16",
    TensorProto.BFLOAT16: "bf16",
    TensorProto.DOUBLE: "fp64",
    TensorProto.INT4: "int4",
    TensorProto.UINT4: "int4",
    TensorProto.INT8: "int8",
    TensorProto.UINT8: "int8",
    TensorProto.INT16: "int16",
    TensorProto.UINT16: "int16",
    TensorProto.FLOAT8E4M3FN: "fp8",
    TensorProto.FLOAT8E5M2: "fp8",
}
_FLOATS = frozenset({TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.BFLOAT16, TensorProto.DOUBLE})
_NEARLY_ALL_RATIO = 0.995
_LONGEST_CHAIN = 16  # guess: weights pass two or three nodes; a cycle, which no runtime takes, must end
_ZERO_POINT = 2


def graph_precision(model: ModelProto) -> str | None:
    """Return in which precision most of the weights of a model are computed with.

    Such as `int8`, `fp16 (62 % of the weights)` or `fp32 with int8 weights`, which are made floats again before each
    product. None where there are neither weights nor floats.

    Args:
        model: Its large weights may be missing.
    """
    weights = _Weights(model)
    elements: Counter[str] = Counter()
    for node in nodes_of(model):
        for name, count in weights.of_node(node):
            elements[name] += count
    if elements.total() <= 0:  # sizes are what the file says
        return _precision_of_ends(model)
    name, most = elements.most_common(1)[0]
    share = most / elements.total()
    return name if share >= _NEARLY_ALL_RATIO else f"{name} ({share * 100:.0f} % of the weights)"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Traced:
    """A tensor of the file, as it arrives at a node.

    Attributes:
        stored_as: Its type, or that which it is quantized to on its way.
        computed_as: Its type where it arrives.
    """

    count: int
    stored_as: int
    computed_as: int
    dequantized: bool = False


class _Weights:
    """Sources of the inputs of nodes: names are looked up in all graphs of a model at once."""

    def __init__(self, model: ModelProto) -> None:
        self._makers = {name: node for node in nodes_of(model) for name in node.output if name}
        self._tensors = {tensor.name: tensor for tensor in tensors_of(model) if tensor.name}

    def of_node(self, node: NodeProto) -> Iterator[tuple[str, int]]:
        """Give the precision and the number of the weights that a node computes with."""
        if node.op_type == "MatMulNBits":
            yield self._few_bits(node)
        on_integers = node.op_type in _INTEGER
        for place in (_INTEGER if on_integers else _WEIGHTED).get(node.op_type, ()):
            traced = self._trace(node.input[place]) if place < len(node.input) else None
            if traced is not None:
                # Behind a quantized tensor, too, runtimes compute the product itself on integers.
                partner = node.input[1 if place == 0 else 0]
                whole = on_integers or (traced.dequantized and self._is_dequantized(partner))
                yield _name(traced, whole=whole), traced.count

    def _few_bits(self, node: NodeProto) -> tuple[str, int]:
        """Return the same of ONNX Runtime's product with weights of a few bits."""
        numbers = {one.name: one.i for one in node.attribute}
        scale = self._tensor(node.input[2]) if len(node.input) > 2 else None  # noqa: PLR2004 # x, weights, scales
        computed_as = _NAMES.get(scale.data_type, "fp32") if scale is not None else "fp32"
        return f"{computed_as} with int{numbers.get('bits', 4)} weights", numbers.get("K", 0) * numbers.get("N", 0)

    def _trace(self, name: str, *, steps: int = _LONGEST_CHAIN) -> _Traced | None:
        """Return the tensor behind a name; None where that is computed."""
        tensor = self._tensor(name)
        if tensor is not None:
            return _Traced(count=math.prod(tensor.dims), stored_as=tensor.data_type, computed_as=tensor.data_type)
        node = self._makers.get(name)
        if node is None or not node.input or not steps:
            return None
        source = self._trace(node.input[0], steps=steps - 1)
        return None if source is None else self._handed_on(node, source)

    def _handed_on(self, node: NodeProto, source: _Traced) -> _Traced | None:
        """Return what a node makes of weights; None where it computes with them."""
        if node.op_type == "Cast":
            return replace(source, computed_as=next((one.i for one in node.attribute if one.name == "to"), 0))
        if node.op_type == "QuantizeLinear":
            return replace(source, stored_as=self._type_of_input(node, _ZERO_POINT) or TensorProto.UINT8)
        if node.op_type == "DequantizeLinear":
            return replace(source, computed_as=self._type_of_input(node, 1) or TensorProto.FLOAT, dequantized=True)
        return source if node.op_type in _PASSES_ON else None

    def _is_dequantized(self, name: str) -> bool:
        for _ in range(_LONGEST_CHAIN):
            node = self._makers.get(name)
            if node is None or node.op_type not in _PASSES_ON | {"DequantizeLinear"} or not node.input:
                return False
            if node.op_type == "DequantizeLinear":
                return True
            name = node.input[0]
        return False

    def _type_of_input(self, node: NodeProto, place: int) -> int | None:
        tensor = self._tensor(node.input[place]) if place < len(node.input) else None
        return None if tensor is None else tensor.data_type

    def _tensor(self, name: str) -> TensorProto | None:
        node = self._makers.get(name)
        if node is not None and node.op_type == "Constant":
            return next((one.t for one in node.attribute if one.name == "value"), None)
        return self._tensors.get(name)


def _name(traced: _Traced, *, whole: bool) -> str:
    stored, computed = (_NAMES.get(code, "another type") for code in (traced.stored_as, traced.computed_as))
    if whole:
        return stored
    return f"{computed} with {stored} weights" if traced.dequantized else computed


def _precision_of_ends(model: ModelProto) -> str | None:
    """Return the type of the first input or output that is a float, of a model without weights."""
    types = (value.type.tensor_type.elem_type for value in (*model.graph.input, *model.graph.output))
    return next((_NAMES[code] for code in types if code in _FLOATS), None)
