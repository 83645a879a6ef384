"""Fill a TensorRT network in from ONNX, and fix what batches it takes."""

from __future__ import annotations

from pathlib import Path

import onnx

from asyncbench.backends.tensorrt.bindings.protocols import (
    Builder,
    IBuilderConfig,
    INetworkDefinition,
    ITensor,
    OnnxParser,
)
from asyncbench.backends.tensorrt.bindings.variant import TensorRtVariant
from asyncbench.backends.tensorrt.bindings.versions import Bindings
from asyncbench.backends.tensorrt.build.engine_choice import EngineShape
from asyncbench.backends.tensorrt.build.onnx_cast import cast_graph
from asyncbench.errors import BadInputError
from asyncbench.models.onnx_file import read_without_weights
from asyncbench.models.onnx_model import check_quantized, describe_node, load_with_weights
from asyncbench.sweep.cell import Precision

_OPEN = -1  # how TensorRT writes a size that is not known yet


def parse_model(
    bindings: Bindings,
    network: INetworkDefinition,
    logger: object,
    path: Path,
    *,
    precision: Precision,
    has_calibration_cache: bool,
) -> OnnxParser:
    """Parse an ONNX file into `network`, cast first where the graph decides the precision.

    Returns:
        The parser, which owns the weights: keep it until the build is done.

    Raises:
        BadInputError: The model is no ONNX, not quantized as asked, or has something that TensorRT lacks.
    """
    is_cast = _is_cast(bindings.variant, precision)
    model = load_with_weights(path) if is_cast else read_without_weights(path)
    if precision in (Precision.INT8, Precision.FP8) and not has_calibration_cache:
        check_quantized(model, precision)
    parser = bindings.create_parser(network, logger)
    if is_cast:
        parsed = parser.parse(cast_graph(model, precision).SerializeToString())
    else:
        parsed = parser.parse_from_file(str(path))
    if not parsed:
        raise _parser_error(bindings, parser, model, path)
    return parser


def fix_batches(builder: Builder, network: INetworkDefinition, config: IBuilderConfig, shape: EngineShape) -> None:
    """Fix the batch of the network's inputs, or give it optimization profiles.

    Raises:
        BadInputError: The model's own shapes do not allow the batches.
    """
    inputs = [network.get_input(index) for index in range(network.num_inputs)]
    open_inputs = [tensor for tensor in inputs if _batch_is_open(tensor, shape)]
    if shape.static_shapes:
        for tensor in open_inputs:
            tensor.shape = (shape.batches[0], *tuple(tensor.shape)[1:])
    elif open_inputs:
        _add_profiles(builder, config, open_inputs, shape)


def _is_cast(variant: TensorRtVariant, precision: Precision) -> bool:
    return not variant.has_precision_flags and precision in (Precision.FP16, Precision.BF16)


def _parser_error(bindings: Bindings, parser: OnnxParser, model: onnx.ModelProto, path: Path) -> BadInputError:
    first = bindings.parser_failures(parser)[0]
    where = describe_node(model, first.node_index)
    return BadInputError(
        f"{bindings.variant} cannot take {path.name}: {where}: {' '.join(first.description.split())}",
        remedy="export the model without this operator, or choose --backend onnxruntime",
    )


def _batch_is_open(tensor: ITensor, shape: EngineShape) -> bool:
    sizes = tuple(tensor.shape)
    if _OPEN in sizes[1:]:
        raise BadInputError(
            f"input {tensor.name!r} has the shape {sizes}: more than its batch is open",
            remedy="export the model with all sizes but the batch fixed",
        )
    if sizes and sizes[0] == _OPEN:
        return True
    if sizes and shape.batches != (sizes[0],):
        raise BadInputError(
            f"input {tensor.name!r} has the shape {sizes}, which cannot run {shape}",
            remedy=f"use --batch {sizes[0]}, or export the model with an open batch axis",
        )
    return False


def _add_profiles(builder: Builder, config: IBuilderConfig, inputs: list[ITensor], shape: EngineShape) -> None:
    for group in shape.opt_profiles:
        opt_profile = builder.create_optimization_profile()
        for tensor in inputs:
            item = tuple(tensor.shape)[1:]
            opt_profile.set_shape(tensor.name, *((batch, *item) for batch in group.as_tuple()))
        config.add_optimization_profile(opt_profile)
