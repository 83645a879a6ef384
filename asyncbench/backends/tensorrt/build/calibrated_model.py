"""Way of a calibration to a builder: as its own cache where it takes one, else inside of the graph."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from asyncbench.accuracy.calibration.calibration_file import (
    cache_of,
    is_legacy_cache,
    read_calibration,
    require_calibration,
)
from asyncbench.accuracy.calibration.float_graph import foreign_tensors, load_float_network
from asyncbench.accuracy.calibration.legacy_cache import for_builder, read_cache, write_cache
from asyncbench.accuracy.calibration.quantized_graph import write_quantized_model
from asyncbench.accuracy.calibration.table import check_table
from asyncbench.backends.tensorrt.bindings.variant import TensorRtVariant
from asyncbench.files.whole_file import create_folder
from asyncbench.models.model_hash import model_sha256


@dataclass(frozen=True, slots=True, kw_only=True)
class CalibratedModel:
    """Files to build from.

    Attributes:
        calibration_cache_path: For a builder with calibrators; None where the graph is quantized itself.
    """

    model_path: Path
    calibration_cache_path: Path | None


def calibrated_model(
    model_path: Path, calibration_path: Path, variant: TensorRtVariant, *, folder: Path
) -> CalibratedModel:
    """Return what a builder of this variant makes an int8 engine of. Blocking.

    Args:
        folder: Where what is written for it is kept, by its contents.

    Raises:
        BadInputError: The calibration cannot be read, or is of another model.
        OutputError: The folder cannot be written.
    """
    require_calibration(calibration_path)
    create_folder(folder)
    key = model_sha256(model_path, beside=(calibration_path,))[:32]
    if not variant.has_calibrators:
        out_path = folder / f"{key}.onnx"
        write_quantized_model(model_path, read_calibration(calibration_path), out_path, source=str(calibration_path))
        return CalibratedModel(model_path=out_path, calibration_cache_path=None)
    cache_path = folder / f"{key}-{variant.version}.cache"
    _write_cache(model_path, calibration_path, variant, cache_path)
    return CalibratedModel(model_path=model_path, calibration_cache_path=cache_path)


def _write_cache(model_path: Path, calibration_path: Path, variant: TensorRtVariant, cache_path: Path) -> None:
    """Write the calibration with the head that this TensorRT looks for: it ignores any other."""
    table = read_calibration(calibration_path)
    foreign = foreign_tensors(load_float_network(model_path).graph, table.ranges)
    check_table(table, source=str(calibration_path), model_sha256=model_sha256(model_path), foreign=foreign)
    if is_legacy_cache(calibration_path):  # not by way of the table, which lacks what only TensorRT knows
        cache = for_builder(read_cache(calibration_path), variant.version)
    else:
        cache, _ = cache_of(table, tensorrt_version=variant.version)
    write_cache(cache, cache_path)
