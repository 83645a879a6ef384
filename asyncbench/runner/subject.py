"""The subject of a sweep: which ONNX file, what it is fed with, and what is known of its right answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from asyncbench.backends.base import AnyArray, EngineRequest, TensorSpec
from asyncbench.errors import BadInputError
from asyncbench.models.catalog import ModelInfo, find_model
from asyncbench.models.graphs import write_model
from asyncbench.models.identification import identify
from asyncbench.models.inputs import find_images, make_inputs, sample_image_folder, why_no_pictures
from asyncbench.models.inspection import check_batches, inspect_model
from asyncbench.models.label_check import check_labels
from asyncbench.runner.messages import NetworkInspected
from asyncbench.sweep.cell import InputKind, Precision
from asyncbench.sweep.config import SweepConfig

LABELS_FILE = "labels.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """A model that was found, inspected, and can be fed.

    Attributes:
        info: What is known of the network; None for one that we do not know.
        images: The pictures that `--input images` uses, in order.
    """

    config: SweepConfig
    path: Path
    info: ModelInfo | None
    images: tuple[Path, ...]

    def request(self, *, precision: Precision, device: str, may_build: bool = True) -> EngineRequest:
        """Return what to ask of the backend."""
        return EngineRequest(
            model_name=self.config.model_label,
            model_path=self.path,
            precision=precision,
            device=device,
            batches=self.config.batch,
            max_concurrency=max(self.config.concurrency),
            calibration_path=self._calibration_path(precision),
            may_build=may_build,
        )

    def _calibration_path(self, precision: Precision) -> Path | None:
        wanted = precision is Precision.INT8 and self.config.calibration is not None
        return Path(self.config.calibration or "") if wanted else None

    def inputs(self, specs: Sequence[TensorSpec], batch: int) -> Mapping[str, AnyArray]:
        """Return the inputs of one inference, `(batch, *item_shape)` each. Blocking: decodes pictures."""
        return make_inputs(
            specs,
            kind=self.config.input,
            batch=batch,
            seed=self.config.seed,
            recipe=self.info.recipe if self.info else None,
            image_paths=self.images,
        )

    def count_labels(self, outputs: Mapping[str, AnyArray]) -> tuple[int, int] | None:
        """Return right and counted top classes of `outputs`, or None where pictures or labels are unknown."""
        if self.config.input is not InputKind.IMAGES or self.info is None or self.info.task != "classification":
            return None
        labels_file = self.images[0].parent / LABELS_FILE
        if not labels_file.is_file() or not self._has_published_weights():
            return None
        check = check_labels(outputs, self.images, labels_file)
        return check.right, check.counted

    def _has_published_weights(self) -> bool:
        """Seeded weights have the architecture's speed and nobody's accuracy."""
        return self.config.model_file is not None


def find_subject(config: SweepConfig, *, model_folder: Path) -> Subject:
    """Find, write or inspect what `config` names. Blocking: reads files, hashes the model.

    Raises:
        BadInputError: The model or the images cannot be used.
    """
    images = _images(config)
    if config.model_file is None:
        info = find_model(config.model)
        path = write_model(config.model, model_folder, config.seed)
        return Subject(config=config, path=path, info=info, images=images)
    facts = inspect_model(Path(config.model_file))
    check_batches(facts, config.batch)
    known = identify(facts)
    if config.model_named:
        named = find_model(config.model)
        if known is not None and known is not named:
            raise BadInputError(
                f"{config.model_file} is {known.name}, not {named.name}", remedy=f"name it {known.name}, or nothing"
            )
        known = named
    return Subject(config=config, path=facts.path, info=known, images=images)


def inspect_network(path: Path) -> NetworkInspected:
    """Return what the ONNX file in `path` can be asked for. Blocking: reads files, hashes the model.

    Raises:
        BadInputError: The model cannot be used.
    """
    facts = inspect_model(path)
    return NetworkInspected(
        fixed_batch=facts.fixed_batch, fixed_by=facts.fixed_by, no_pictures=why_no_pictures(facts.inputs)
    )


def simulated_subject(config: SweepConfig) -> Subject:
    """Return a subject without a model: a simulated device only needs something to be fed with."""
    return Subject(config=config, path=Path("simulated"), info=None, images=_images(config))


def _images(config: SweepConfig) -> tuple[Path, ...]:
    if config.input is not InputKind.IMAGES:
        return ()
    return find_images(Path(config.images) if config.images else sample_image_folder())


def slices(inputs: Mapping[str, AnyArray], batches: Sequence[int]) -> dict[int, Mapping[str, AnyArray]]:
    """Return views of the largest batch's inputs for each batch: items repeat in order, so prefixes are inputs."""
    return {batch: {name: array[:batch] for name, array in inputs.items()} for batch in batches}
