"""Check that a file is the network that it should be, and that it can be run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from onnx import ModelProto, external_data_helper

from asyncbench.errors import BadInputError
from asyncbench.models.catalog import find_model
from asyncbench.models.graph_walk import tensors_of
from asyncbench.models.identification import check_architecture, identify
from asyncbench.models.inspection import inspect_model
from asyncbench.models.onnx_file import read_without_weights
from asyncbench.models.store.published import PublishedWeights


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkCheck:
    """Result of the check of an ONNX file.

    Attributes:
        network: The built-in network with the same architecture; None where it is none of them.
        published: True if it has the outputs of the published file.
        complaint: Why it cannot be run as it is; empty where it can.
    """

    network: str | None
    published: bool
    complaint: str = ""


def check_network(path: Path, weights: PublishedWeights) -> NetworkCheck:
    """Return what the file is. Blocking: reads all of it.

    Raises:
        BadInputError: It is not an ONNX model, is cut off, or is not the network that `weights` are of.
    """
    model = read_without_weights(path)
    _check_whole(model, path)
    published = weights.outputs == {output.name for output in model.graph.output}
    try:
        facts = inspect_model(path)
    except BadInputError as error:
        if not published:
            raise
        return NetworkCheck(network=None, published=True, complaint=error.message.replace(str(path), "it"))
    if not published:
        remedy = "name another file, or run this one as it is with sweep --model"
        check_architecture(facts, find_model(weights.model), remedy=remedy)
    known = identify(facts)
    return NetworkCheck(network=known.name if known else None, published=published)


def _check_whole(model: ModelProto, path: Path) -> None:
    if not model.opset_import:  # it is written behind the graph: a file that ends right after the graph lacks it
        raise BadInputError(f"{path} is cut off behind its graph", remedy="download it again")
    if any(external_data_helper.uses_external_data(tensor) for tensor in tensors_of(model)):
        raise BadInputError(
            f"{path} keeps weights in other files, which are not kept with it",
            remedy="save it as one file, or run it where it is with sweep --model",
        )
