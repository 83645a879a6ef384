"""Calibrates a network on a folder of pictures."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import structlog

from asyncbench.calibration.calibrate import CalibrationBatch, calibrate
from asyncbench.calibration.table import CalibrationTable, Method, MethodName, hash_images, write_table
from asyncbench.datasets.dataset import DatasetKind, Item
from asyncbench.datasets.opening import open_dataset
from asyncbench.datasets.subset import choose, parse_subset
from asyncbench.errors import BadInputError
from asyncbench.models.catalog import ModelInfo, find_model
from asyncbench.models.graphs import write_model
from asyncbench.models.identification import identify
from asyncbench.models.inspection import inspect_model
from asyncbench.models.preparation import Float32Array, prepare, read_image
from asyncbench.sweep.config import SweepConfig

# Small, because all intermediate tensors of a batch are held at once; they count exactly, whatever the batch.
BATCH = 2
_DEFAULT_PERCENTILE = 99.99

_log = structlog.get_logger()


def parse_method(name: str, percentile: float | None) -> Method:
    """Return the method of that name.

    Raises:
        BadInputError: There is none, or a percentile was given for another one.
    """
    if name not in {str(one) for one in MethodName}:
        names = ", ".join(str(one) for one in MethodName)
        raise BadInputError(f"--method {name!r} is not known", remedy=f"choose {names}")
    if MethodName(name) is MethodName.PERCENTILE:
        return Method(name=MethodName.PERCENTILE, percentile=percentile or _DEFAULT_PERCENTILE)
    if percentile is not None:
        raise BadInputError(f"--percentile is given, but --method is {name}", remedy="use --method percentile")
    return Method(name=MethodName(name))


def calibrate_on_pictures(
    config: SweepConfig,
    folder: Path,
    out_path: Path,
    *,
    subset: str | None,
    method: Method,
    model_folder: Path,
    on_progress: Callable[[int, int], None],
) -> CalibrationTable:
    """Write the table for the network that `config` names, and return it. Blocking, for minutes.

    A picture that cannot be decoded is left out, and the log names it.

    Args:
        model_folder: Where the package's own graphs are written.
        on_progress: Takes how many pictures are done, and of how many.

    Raises:
        BadInputError: The network or the pictures cannot be used.
        OutputError: The table cannot be written.
    """
    path, info = _network(config, model_folder)
    dataset = open_dataset(folder, kind=DatasetKind.PICTURES)
    if subset is not None:
        dataset = choose(dataset, parse_subset(subset))
    items = dataset.items
    input_name = inspect_model(path).inputs[0].name
    table = calibrate(
        path,
        _batches(items, info, input_name),
        method=method,
        recipe=str(info.recipe),
        on_progress=lambda done: on_progress(done, len(items)),
    )
    write_table(table, out_path)
    return table


def _network(config: SweepConfig, model_folder: Path) -> tuple[Path, ModelInfo]:
    if config.model_file is None:
        return write_model(config.model, model_folder, config.seed), find_model(config.model)
    path = Path(config.model_file)
    info = find_model(config.model) if config.model_named else identify(inspect_model(path))
    if info is None:
        raise BadInputError(
            f"{path} is no network that is known, so how its pictures are prepared is not either",
            remedy="name it: mobilenet, resnet50, ssdmobilenet",
        )
    return path, info


def _batches(items: Sequence[Item], info: ModelInfo, input_name: str) -> Iterator[CalibrationBatch]:
    for start in range(0, len(items), BATCH):
        prepared = [
            (item, pixels) for item in items[start : start + BATCH] if (pixels := _pixels(item, info)) is not None
        ]
        if prepared:
            yield CalibrationBatch(
                inputs={input_name: np.stack([pixels for _, pixels in prepared])},
                images=hash_images(item.path for item, _ in prepared),
            )


def _pixels(item: Item, info: ModelInfo) -> Float32Array | None:
    try:
        return prepare(read_image(item.path), info.recipe)
    except BadInputError as error:
        _log.warning("calibration.left_out", picture=item.name, message=error.message)
        return None
