"""Calibration of a network on a folder of images."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from asyncbench.accuracy.calibration.calibrate import CalibrationBatch, calibrate
from asyncbench.accuracy.calibration.table import CalibrationTable, Method, MethodName, hash_images, write_table
from asyncbench.accuracy.datasets.dataset import DatasetKind, Item
from asyncbench.accuracy.datasets.opening import open_dataset
from asyncbench.accuracy.datasets.subset import choose, parse_subset
from asyncbench.errors import BadInputError
from asyncbench.models.catalog import ModelInfo, find_model
from asyncbench.models.graphs import write_model
from asyncbench.models.identification import known_as, require_known
from asyncbench.models.inspection import ModelFacts, inspect_model
from asyncbench.models.preparation import Float32Array, prepare, read_image
from asyncbench.sweep.config import SweepConfig
from asyncbench.units import counted

# Small, because all intermediate tensors of a batch are held at once; they count exactly, whatever the batch.
BATCH = 2
_DEFAULT_PERCENTILE = 99.99

# Takes the name of an image, and why it is left out.
OnLeftOut = Callable[[str, str], None]


def parse_method(name: str, percentile: float | None) -> Method:
    """Return the method of that name.

    Raises:
        BadInputError: There is none, or a percentile was given for another one.
    """
    if name not in {str(one) for one in MethodName}:
        names = ", ".join(str(one) for one in MethodName)
        raise BadInputError(f"--method {name!r} is not known", remedy=f"choose {names}")
    if MethodName(name) is MethodName.PERCENTILE:
        return Method(name=MethodName.PERCENTILE, percentile=_DEFAULT_PERCENTILE if percentile is None else percentile)
    if percentile is not None:
        raise BadInputError(f"--percentile is given, but --method is {name}", remedy="use --method percentile")
    return Method(name=MethodName(name))


def calibrate_on_images(
    config: SweepConfig,
    folder: Path,
    out_path: Path,
    *,
    subset: str | None,
    method: Method,
    model_folder: Path,
    on_left_out: OnLeftOut,
    on_progress: Callable[[int, int], None],
) -> CalibrationTable:
    """Write the table for the network that `config` names, and return it. Blocking, for minutes.

    Args:
        model_folder: Where the package's own graphs are written.
        on_left_out: Called for each image that cannot be prepared, or that no full batch is left for.
        on_progress: Takes how many images are done, and of how many.

    Raises:
        BadInputError: The network or the images cannot be used.
        OutputError: The table cannot be written.
    """
    facts, info = _network(config, model_folder)
    dataset = open_dataset(folder, kind=DatasetKind.IMAGES)
    if subset is not None:
        dataset = choose(dataset, parse_subset(subset))
    items = dataset.items
    if facts.fixed_batch is not None and len(items) < facts.fixed_batch:
        raise BadInputError(
            f"{facts.path} runs at batch {facts.fixed_batch} only, and the folder has {counted(len(items), 'image')}",
            remedy=f"name a folder of {facts.fixed_batch} or more with --images",
        )
    table = calibrate(
        facts.path,
        _batches(items, info, facts, on_left_out),
        method=method,
        recipe=str(info.recipe),
        on_progress=lambda done: on_progress(done, len(items)),
    )
    write_table(table, out_path)
    return table


def _network(config: SweepConfig, model_folder: Path) -> tuple[ModelFacts, ModelInfo]:
    if config.model_file is None:
        return inspect_model(write_model(config.model, model_folder, config.seed)), find_model(config.model)
    facts = inspect_model(Path(config.model_file))
    found = known_as(facts, name=config.model if config.model_named else None)
    known = require_known(facts, found, purpose="calibrating needs to know how its images are prepared")
    if facts.inputs[0].dtype != "float32":
        raise BadInputError(
            f"{facts.path} takes {facts.inputs[0].dtype}, and a network is calibrated in float32",
            remedy="give the float32 network that it was made from",
        )
    return facts, known.info


def _batches(
    items: Sequence[Item], info: ModelInfo, facts: ModelFacts, on_left_out: OnLeftOut
) -> Iterator[CalibrationBatch]:
    """Give the images in batches: all of the network's own size where that is fixed."""
    size = facts.fixed_batch or BATCH
    prepared: list[tuple[Item, Float32Array]] = []
    for item in items:
        if (pixels := _pixels(item, info, on_left_out)) is not None:
            prepared.append((item, pixels))
        if len(prepared) == size:
            yield _batch(prepared, facts)
            prepared.clear()
    if prepared and facts.fixed_batch is None:
        yield _batch(prepared, facts)
        return
    for item, _ in prepared:  # to fill the batch with others would count those twice
        on_left_out(item.name, f"it does not fill a batch of {size}")


def _batch(prepared: Sequence[tuple[Item, Float32Array]], facts: ModelFacts) -> CalibrationBatch:
    return CalibrationBatch(
        inputs={facts.inputs[0].name: np.stack([pixels for _, pixels in prepared])},
        images=hash_images(item.path for item, _ in prepared),
    )


def _pixels(item: Item, info: ModelInfo, on_left_out: OnLeftOut) -> Float32Array | None:
    try:
        return prepare(read_image(item.path), info.recipe)
    except BadInputError as error:
        on_left_out(item.name, error.message)
        return None
