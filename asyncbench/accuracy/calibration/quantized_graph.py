"""The int8 network: the float one with QuantizeLinear and DequantizeLinear nodes, as TensorRT 10+ wants it.

Every convolution and matrix product with weights gets int8 input and int8 weights: activations symmetric with one
scale a tensor, weights symmetric with one scale an output channel, biases in float. Nothing is quantized on the way
out of a node: TensorRT fuses a convolution with the addition and activation behind it only where no node stands between
them, and where the next convolution takes int8 the pair in front of that one decides. A skip connection that starts
at a quantized tensor is read as int8 too. All else is left in float: pooling and additions, which are bound by memory
and fuse; softmax, sigmoid, and the decoding of boxes, whose values differ too much in size for 8 bits.

The weights stay float32 in the file, with a pair of nodes behind them: every version of TensorRT since 8.0 folds that.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnx
from onnx import version_converter
from onnxruntime.quantization.calibrate import CalibrationMethod, TensorsData
from onnxruntime.quantization.qdq_quantizer import QDQQuantizer
from onnxruntime.quantization.quant_utils import QuantType

from asyncbench.accuracy.calibration.float_graph import foreign_tensors, load_float_network, weighted_nodes
from asyncbench.accuracy.calibration.table import CalibrationTable, check_table, listed
from asyncbench.errors import BadInputError, OutputError
from asyncbench.files.whole_file import write_whole
from asyncbench.models.inspection import inspect_model

# The first with DequantizeLinear by channel. Source: ONNX operator changelog.
_MIN_OPSET = 13
_PRODUCER = "asyncbench"


def write_quantized_model(
    model_path: Path, table: CalibrationTable, out_path: Path, *, source: str = "the calibration table"
) -> None:
    """Write the int8 network of a float one and its table. Blocking. Equal inputs give equal bytes.

    Args:
        source: What errors call the table.

    Raises:
        BadInputError: The table is not of this model, lacks a range, or the model cannot be quantized.
        OutputError: `out_path` or a temporary file cannot be written.
    """
    network = load_float_network(model_path)
    foreign = foreign_tensors(network.graph, table.ranges)
    check_table(table, source=source, model_sha256=inspect_model(model_path).sha256, foreign=foreign)
    quantized = quantize(network, table.ranges, source=source)
    write_whole(out_path, quantized.SerializeToString(deterministic=True))


def quantize(network: onnx.ModelProto, ranges: Mapping[str, float], *, source: str) -> onnx.ModelProto:
    """Return the int8 network; inputs, outputs and the batch axis stay as they are.

    Args:
        network: As `load_float_network` returns it; left as it is.
        ranges: The largest absolute value of each tensor.

    Raises:
        BadInputError: The input of a node that int8 is for has no range.
        OutputError: A temporary file cannot be written.
    """
    nodes = weighted_nodes(network.graph)
    missing = dict.fromkeys(node.input[0] for node in nodes if node.input[0] not in ranges)
    if missing:
        raise BadInputError(
            f"{source} has no range for {listed(missing)}", remedy="calibrate this model: asyncbench calibrate"
        )
    needed = {node.input[0]: ranges[node.input[0]] for node in nodes}
    try:
        quantizer = _quantizer(_modern(network), [node.name for node in nodes], needed)
        quantizer.quantize_model()
    except OSError as error:  # the quantizer saves the network and loads it again
        raise _no_temporary_file(error) from error
    quantizer.model.topological_sort()  # the quantizer appends its nodes at the end
    quantized: onnx.ModelProto = quantizer.model.model
    quantized.producer_name, quantized.producer_version = _PRODUCER, ""
    return quantized


def _no_temporary_file(error: OSError) -> OutputError:
    try:
        where = f" in {tempfile.gettempdir()}"
    except FileNotFoundError:  # no folder takes a file: the error itself lists them
        where = ""
    return OutputError(
        f"int8 needs a temporary copy of the network, and there is no room for it{where} ({error.strerror})",
        remedy="free space there, or name another folder in TMPDIR",
    )


def _modern(network: onnx.ModelProto) -> onnx.ModelProto:
    """Return a copy of an opset that has quantization by channel."""
    opset = next(entry.version for entry in network.opset_import if entry.domain in ("", "ai.onnx"))
    if opset < _MIN_OPSET:
        try:
            return version_converter.convert_version(network, _MIN_OPSET)
        except (version_converter.ConvertError, RuntimeError) as error:
            raise BadInputError(
                f"the model cannot be brought from opset {opset} to {_MIN_OPSET} ({error})",
                remedy=f"export it with opset {_MIN_OPSET} or later",
            ) from error
    copy = onnx.ModelProto()
    copy.CopyFrom(network)
    return copy


def _quantizer(network: onnx.ModelProto, nodes: list[str], ranges: Mapping[str, float]) -> QDQQuantizer:
    bounds = {name: (np.float32(-amax), np.float32(amax)) for name, amax in ranges.items()}
    operators = ["Conv", "Gemm", "MatMul"]
    return QDQQuantizer(
        network,
        per_channel=True,
        reduce_range=False,
        weight_qType=QuantType.QInt8,
        activation_qType=QuantType.QInt8,
        tensors_range=TensorsData(CalibrationMethod.MinMax, bounds),
        nodes_to_quantize=nodes,
        nodes_to_exclude=[],
        op_types_to_quantize=operators,
        extra_options={
            "ActivationSymmetric": True,
            "WeightSymmetric": True,
            "AddQDQPairToWeight": True,
            "QuantizeBias": False,
            "OpTypesToExcludeOutputQuantization": operators,
            "QDQOpTypePerChannelSupportToAxis": {"MatMul": 1},
        },
    )
