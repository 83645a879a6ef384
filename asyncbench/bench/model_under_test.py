"""Model under test: its ONNX file, its inputs, and what is known of its right answers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from asyncbench.backends.base import EngineRequest
from asyncbench.models.catalog import ModelInfo
from asyncbench.models.graph_facts import GraphFacts
from asyncbench.models.inputs import check_inputs, find_images, make_inputs, sample_image_folder
from asyncbench.models.label_check import check_labels
from asyncbench.sweep.cell import InputKind, Precision
from asyncbench.sweep.config import SweepConfig
from asyncbench.tensors import AnyArray, TensorSpec

LABELS_FILE = "labels.json"
MAX_IMAGES = 256
"""Of which a batch is made: a larger one repeats them. What more of them would show is worth neither the time to decode
them, nor a place in the header."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Images:
    """Of a folder.

    Attributes:
        used: The first ones by name, as many as the largest batch needs, `MAX_IMAGES` at most.
        found: How many there are.
    """

    used: tuple[Path, ...]
    found: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelUnderTest:
    """A model that was found, inspected, and can be fed.

    Attributes:
        info: What is known of the network; None for one that we do not know.
        recognized: Whether the file has that network's architecture; else the user said that it is one.
        images: What `--input images` uses.
        model_hash: What the model is known by; None where there is none.
    """

    config: SweepConfig
    path: Path
    info: ModelInfo | None
    images: Images
    recognized: bool = True
    model_hash: str | None = None
    graph: GraphFacts = field(default_factory=GraphFacts)

    def request(self, *, precision: Precision, device: str, may_build: bool = True) -> EngineRequest:
        """Return what to ask of the backend."""
        return EngineRequest(
            model_name=self.config.model_label,
            model_path=self.path,
            precision=precision,
            device=device,
            batches=tuple(sorted(self.config.batch)),
            max_concurrency=max(self.config.concurrency),
            calibration_path=self._calibration_path(precision),
            may_build=may_build,
            model_hash=self.model_hash,
            graph_precision=self.graph.precision,
        )

    def _calibration_path(self, precision: Precision) -> Path | None:
        wanted = precision is Precision.INT8 and self.config.calibration is not None
        return Path(self.config.calibration or "") if wanted else None

    def inputs(self, specs: Sequence[TensorSpec], batch: int) -> Mapping[str, AnyArray]:
        """Return the inputs of one inference, `(batch, *item_shape)` each. Blocking: decodes images."""
        return make_inputs(
            specs,
            kind=self.config.input,
            batch=batch,
            seed=self.config.seed,
            recipe=self.info.recipe if self.info else None,
            image_paths=self.images.used,
        )

    def check_inputs(self, specs: Sequence[TensorSpec]) -> None:
        """Check that inputs of every batch can be made, before anything is written; see `make_inputs`. Blocking."""
        recipe = self.info.recipe if self.info else None
        check_inputs(specs, kind=self.config.input, recipe=recipe, image_paths=self.images.used)

    def count_labels(self, outputs: Mapping[str, AnyArray]) -> tuple[int, int] | None:
        """Return right and counted top classes of `outputs`, or None where images or labels are unknown."""
        labels_file = self.labels_file()
        if labels_file is None:
            return None
        check = check_labels(outputs, self.images.used, labels_file)
        return check.right, check.counted

    def labels_file(self) -> Path | None:
        """Return the file with the images' labels, where there is one and the outputs can be held to it."""
        if self.config.input is not InputKind.IMAGES or self.info is None or self.info.task != "classification":
            return None
        labels_file = self.images.used[0].parent / LABELS_FILE
        return labels_file if labels_file.is_file() and self._has_published_weights() else None

    def _has_published_weights(self) -> bool:
        """Seeded weights have the architecture's speed and nobody's accuracy."""
        return self.config.model_file is not None


def model_of(config: SweepConfig, *, model_folder: Path) -> ModelUnderTest:
    """Return what a sweep runs. Blocking: see `find_model_under_test`.

    Raises:
        BadInputError: The model, the images or their labels cannot be used.
    """
    if config.runs_simulated:
        return _simulated_model(config)
    # Not above: it takes onnx, and a simulated sweep has no graph.
    from asyncbench.bench.find_model import find_model_under_test  # noqa: PLC0415

    return find_model_under_test(config, model_folder=model_folder)


def _simulated_model(config: SweepConfig) -> ModelUnderTest:
    """Return one without a file: a simulated device only needs something to be fed with."""
    return ModelUnderTest(config=config, path=Path(config.backend), info=None, images=images_of(config))


def images_of(config: SweepConfig) -> Images:
    """Return the images that a sweep feeds; none where it feeds noise or zeros."""
    if config.input is not InputKind.IMAGES:
        return Images(used=(), found=0)
    found = find_images(Path(config.images) if config.images else sample_image_folder())
    return Images(used=found[: min(max(config.batch), MAX_IMAGES)], found=len(found))
