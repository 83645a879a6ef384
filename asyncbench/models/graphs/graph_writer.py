"""Writer of ONNX graphs, layer by layer, so that a network's module reads like the table in its paper."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from asyncbench.tensors import AnyArray

OPSET_VERSION = 13
IR_VERSION = 8
RELU_GAIN = 2.0
LINEAR_GAIN = 1.0
_BIAS_STD = 0.1

AttributeValue = int | float | tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureMap:
    """Output of a layer: `(N, channels, size, size)` float32."""

    name: str
    channels: int
    size: int


class GraphWriter:
    """Collects nodes and weights. Weights are normal, drawn in the order of the layers from PCG64 of the seed.

    A weight's variance is `gain / fan_in`: 2 keeps the mean square of activations from one ReLU to the next, 1 from
    one linear layer to the next (He et al., "Delving Deep into Rectifiers", 2015, eq. 10). Biases are small, as folded
    batch norms leave them.
    """

    def __init__(self, *, name: str, seed: int) -> None:
        self._random = np.random.Generator(np.random.PCG64(seed))
        # Filled in place: the helpers that make a model out of its parts copy all weights at every step.
        self._model = onnx.ModelProto(ir_version=IR_VERSION, producer_name="asyncbench")
        self._model.opset_import.append(helper.make_opsetid("", OPSET_VERSION))
        self._graph = self._model.graph
        self._graph.name = name

    def image(self, *, size: int) -> FeatureMap:
        """Declare the input `input`, `(N, 3, size, size)`."""
        self._graph.input.append(_float_tensor("input", (3, size, size)))
        return FeatureMap(name="input", channels=3, size=size)

    def conv(
        self,
        source: FeatureMap,
        *,
        name: str,
        channels: int,
        kernel: int = 1,
        stride: int = 1,
        groups: int = 1,
        padding: int | None = None,
        gain: float = RELU_GAIN,
    ) -> FeatureMap:
        """Write a convolution with its bias. `padding` None is TensorFlow's SAME, which may pad the end only."""
        shape = (channels, source.channels // groups, kernel, kernel)
        weights = self._weights(f"{name}.w", shape, fan_in=shape[1] * kernel**2, gain=gain)
        bias = self._bias(f"{name}.b", channels)
        window = _window(source.size, kernel=kernel, stride=stride, padding=padding)
        self.node("Conv", (source.name, weights, bias), output=name, group=groups, **window.attributes())
        return FeatureMap(name=name, channels=channels, size=window.output_size)

    def conv_relu6(
        self, source: FeatureMap, *, name: str, channels: int, kernel: int = 1, stride: int = 1
    ) -> FeatureMap:
        """Write a convolution and ReLU6."""
        return self._relu6(self.conv(source, name=name, channels=channels, kernel=kernel, stride=stride))

    def depthwise_relu6(self, source: FeatureMap, *, name: str, stride: int) -> FeatureMap:
        """Write a 3x3 convolution of each channel by itself, and ReLU6."""
        channels = source.channels
        return self._relu6(self.conv(source, name=name, channels=channels, kernel=3, stride=stride, groups=channels))

    def relu(self, source: FeatureMap) -> FeatureMap:
        """Write a ReLU."""
        return self._same_shape(source, self.node("Relu", (source.name,), output=f"{source.name}.relu"))

    def add(self, left: FeatureMap, right: FeatureMap, *, name: str) -> FeatureMap:
        """Write the sum of two maps of one shape."""
        return self._same_shape(left, self.node("Add", (left.name, right.name), output=name))

    def max_pool(self, source: FeatureMap, *, name: str, kernel: int, stride: int, padding: int) -> FeatureMap:
        """Write a maximum over windows."""
        window = _window(source.size, kernel=kernel, stride=stride, padding=padding)
        self.node("MaxPool", (source.name,), output=name, **window.attributes())
        return FeatureMap(name=name, channels=source.channels, size=window.output_size)

    def global_average(self, source: FeatureMap, *, name: str) -> FeatureMap:
        """Write the mean of each channel."""
        self.node("GlobalAveragePool", (source.name,), output=name)
        return FeatureMap(name=name, channels=source.channels, size=1)

    def fully_connected(self, source: str, *, name: str, inputs: int, outputs: int) -> str:
        """Write `(N, inputs)` x `(inputs, outputs)` plus a bias."""
        weights = self._weights(f"{name}.w", (inputs, outputs), fan_in=inputs, gain=LINEAR_GAIN)
        return self.node("Gemm", (source, weights, self._bias(f"{name}.b", outputs)), output=name)

    def node(self, operator: str, inputs: tuple[str, ...], *, output: str, **attributes: AttributeValue) -> str:
        """Write a node named like its output, and return that name."""
        node = self._graph.node.add(op_type=operator, name=output, input=inputs, output=[output])
        node.attribute.extend(helper.make_attribute(key, value) for key, value in sorted(attributes.items()))
        return output

    def constant(self, name: str, values: AnyArray) -> str:
        """Write a constant once and return its name."""
        if all(constant.name != name for constant in self._graph.initializer):
            self._graph.initializer.append(numpy_helper.from_array(values, name))
        return name

    def model(self, outputs: Mapping[str, tuple[int, ...]]) -> onnx.ModelProto:
        """Declare the outputs and return the whole. `outputs` maps names to shapes without the batch axis."""
        self._graph.output.extend(_float_tensor(name, shape) for name, shape in outputs.items())
        return self._model

    def _relu6(self, source: FeatureMap) -> FeatureMap:
        # The bounds are scalars by ONNX's definition of Clip; TensorRT fuses exactly this form.
        zero = self.constant("zero", np.array(0.0, dtype=np.float32))
        six = self.constant("six", np.array(6.0, dtype=np.float32))
        return self._same_shape(source, self.node("Clip", (source.name, zero, six), output=f"{source.name}.relu6"))

    def _same_shape(self, source: FeatureMap, name: str) -> FeatureMap:
        return FeatureMap(name=name, channels=source.channels, size=source.size)

    def _weights(self, name: str, shape: tuple[int, ...], *, fan_in: int, gain: float) -> str:
        return self.constant(name, self._normal(shape) * np.float32(np.sqrt(gain / fan_in)))

    def _bias(self, name: str, channels: int) -> str:
        return self.constant(name, self._normal((channels,)) * np.float32(_BIAS_STD))

    def _normal(self, shape: tuple[int, ...]) -> npt.NDArray[np.float32]:
        return self._random.standard_normal(shape, dtype=np.float32)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Window:
    """A square window that slides over a square map."""

    kernel: int
    stride: int
    pad_begin: int
    pad_end: int
    output_size: int

    def attributes(self) -> dict[str, tuple[int, ...]]:
        """Return what ONNX's Conv and MaxPool call these."""
        return {
            "kernel_shape": (self.kernel,) * 2,
            "strides": (self.stride,) * 2,
            "pads": (self.pad_begin,) * 2 + (self.pad_end,) * 2,
        }


def _window(size: int, *, kernel: int, stride: int, padding: int | None) -> _Window:
    if padding is None:
        total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
        begin, end = total // 2, total - total // 2
    else:
        begin = end = padding
    output_size = (size + begin + end - kernel) // stride + 1
    return _Window(kernel=kernel, stride=stride, pad_begin=begin, pad_end=end, output_size=output_size)


def _float_tensor(name: str, item_shape: tuple[int, ...]) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", *item_shape])
