"""Find, write or inspect the model of a sweep. Only imported where there is one: it takes onnx."""

from __future__ import annotations

from pathlib import Path

from asyncbench.bench.model_under_test import ModelUnderTest, images_of
from asyncbench.models.catalog import find_model
from asyncbench.models.graph_reading import read_graph_facts
from asyncbench.models.graphs import write_model
from asyncbench.models.identification import known_as
from asyncbench.models.inputs import why_no_images
from asyncbench.models.inspection import check_batches, inspect_model
from asyncbench.models.label_check import read_labels
from asyncbench.models.model_hash import model_sha256
from asyncbench.sweep.config import SweepConfig
from asyncbench.wire.messages import NetworkInspected


def find_model_under_test(config: SweepConfig, *, model_folder: Path) -> ModelUnderTest:
    """Find, write or inspect what `config` names. Blocking: reads files, hashes the model.

    Raises:
        BadInputError: The model, the images or their labels cannot be used.
    """
    images = images_of(config)
    if config.model_file is None:
        info = find_model(config.model)
        path = write_model(config.model, model_folder, config.seed)
        return ModelUnderTest(
            config=config,
            path=path,
            info=info,
            images=images,
            model_hash=model_sha256(path),
            graph=read_graph_facts(path),
        )
    facts = inspect_model(Path(config.model_file))
    check_batches(facts, config.batch)
    known = known_as(facts, name=config.model if config.model_named else None)
    model = ModelUnderTest(
        config=config,
        path=facts.path,
        info=known.info if known else None,
        images=images,
        recognized=known is None or known.recognized,
        model_hash=facts.sha256,
        graph=read_graph_facts(facts.path),
    )
    if (labels_file := model.labels_file()) is not None:
        read_labels(labels_file)  # what is wrong with it is bad input, and no error of the first cell
    return model


def inspect_network(path: Path) -> NetworkInspected:
    """Return what the ONNX file in `path` can be asked for. Blocking: reads files, hashes the model.

    Raises:
        BadInputError: The model cannot be used.
    """
    facts = inspect_model(path)
    return NetworkInspected(
        fixed_batch=facts.fixed_batch, fixed_by=facts.fixed_by, no_images=why_no_images(facts.inputs)
    )
