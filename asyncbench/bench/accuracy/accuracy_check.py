"""The quality of an engine beside its speed: the same lanes, a labelled data set, and an fp32 reference."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import trio

from asyncbench.accuracy.calibration.calibration_file import read_calibration
from asyncbench.accuracy.calibration.table import hash_images, refuse_overlap
from asyncbench.accuracy.datasets.dataset import Dataset, DatasetKind, Item, LeftOut, selection_sha256
from asyncbench.accuracy.datasets.decoding_pipeline import PreparedBatch, open_batches
from asyncbench.accuracy.datasets.marked_size import refuse_other_sizes
from asyncbench.accuracy.datasets.opening import open_dataset
from asyncbench.accuracy.datasets.subset import choose, parse_subset
from asyncbench.accuracy.metrics.box_metrics import box_metrics
from asyncbench.accuracy.metrics.classification import class_metrics, read_top_labels
from asyncbench.accuracy.metrics.coco_truth import read_coco_truth
from asyncbench.accuracy.metrics.detection import ImageTruth, read_detections
from asyncbench.accuracy.metrics.drift import output_drift, split_items
from asyncbench.backends.base import Backend, Engine, EngineRequest
from asyncbench.bench.accuracy.accuracy_cell import OnProgress
from asyncbench.bench.accuracy.accuracy_run import ItemBatch, run_accuracy
from asyncbench.bench.cell.reference_outputs import reference_name, reference_request
from asyncbench.bench.model_under_test import ModelUnderTest
from asyncbench.errors import BadInputError
from asyncbench.models.catalog import ModelInfo, Task
from asyncbench.models.identification import require_known
from asyncbench.models.inspection import inspect_model
from asyncbench.models.store.published import find_published
from asyncbench.results.accuracy import Accuracy, Metric, MetricName, OutputDrift, PublishedFigure, SkippedItem
from asyncbench.sweep.cell import Precision
from asyncbench.sweep.config import SweepConfig
from asyncbench.tensors import TensorSpec
from asyncbench.units import counted

# Outputs of so many items are held whole against the reference's.
DRIFT_ITEMS = 8
DECODING_THREADS = 2
BATCHES_AHEAD = 2
REFERENCE_LANES = 2

# Labels or detections by item, as the task has it.
Answers = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelledData:
    """A data set that was opened for one network.

    Attributes:
        truth: What was marked in each image; None where the items have classes instead.
        published: Of the network's published weights; nothing where the file only takes the same images.
        overlapping: Images that the calibration has seen too, counted although that was asked for; None where the
            calibration does not say what it has seen.
    """

    name: str
    dataset: Dataset
    subset_sha256: str
    info: ModelInfo
    truth: Mapping[str, ImageTruth] | None
    published: Mapping[MetricName, PublishedFigure]
    overlapping: int | None = 0


def open_labelled_data(config: SweepConfig, subject: ModelUnderTest, precision: Precision) -> LabelledData:
    """Return the data set that a sweep names. Blocking: reads lists, hashes images.

    Raises:
        BadInputError: The network has no accuracy, the data set cannot be used for it, or the calibration has seen
            some of it.
    """
    if config.dataset is None:
        raise ValueError("no data set is named")
    info = _need_trained(config, subject)
    truth = None if config.truth is None else Path(config.truth)
    dataset = open_dataset(Path(config.dataset), truth=truth)
    if config.subset is not None:
        dataset = choose(dataset, parse_subset(config.subset))
    is_detection = info.task is Task.DETECTION
    if (dataset.kind is DatasetKind.COCO) is not is_detection or dataset.kind is DatasetKind.IMAGES:
        wanted = "COCO's instances" if is_detection else "labels of ImageNet's classes"
        raise BadInputError(
            f"{info.name} needs images with {wanted}, {config.dataset} is {dataset.kind}",
            remedy="name another --dataset, or the file with --truth",
        )
    marked = _marked(dataset) if is_detection else None
    if dataset.truth is not None:
        refuse_other_sizes(dataset.items, dataset.truth)
    return LabelledData(
        name=Path(config.dataset).name,
        dataset=dataset,
        subset_sha256=selection_sha256(dataset),
        info=info,
        truth=marked,
        published=info.published if subject.recognized else {},
        overlapping=_overlapping(config, dataset) if precision is Precision.INT8 else 0,
    )


def _marked(dataset: Dataset) -> dict[str, ImageTruth] | None:
    """Return what was marked in each image, by the image's name: instances may call it otherwise."""
    if dataset.truth is None:
        return None
    marked = read_coco_truth(dataset.truth)
    return {item.name: marked[item.marked_name] for item in dataset.items if item.marked_name is not None}


def _need_trained(config: SweepConfig, subject: ModelUnderTest) -> ModelInfo:
    """Return the network that a file is taken for; refuse one whose answers mean nothing, or nothing that is known."""
    if config.runs_simulated:
        raise BadInputError("a simulated network has no accuracy", remedy="choose another --backend")
    if config.model_file is None:
        # Where there is a remark, the published file is another network, or one that no backend here runs.
        fits = subject.info is not None and not find_published(subject.info.name).remark
        fetch = f"; asyncbench models pull {config.model} fetches one" if fits else ""
        raise BadInputError(
            f"the weights of the built-in {config.model} are random, and so would its accuracy be",
            remedy=f"name a file with trained weights with --model{fetch}",
        )
    if subject.info is not None:
        return subject.info
    facts = inspect_model(subject.path)
    return require_known(facts, None, purpose="accuracy needs to know what its outputs mean").info


def _overlapping(config: SweepConfig, dataset: Dataset) -> int | None:
    if config.calibration is None:
        return 0
    table = read_calibration(Path(config.calibration))
    if not table.images:
        return None
    tested = hash_images(item.path for item in dataset.items)
    return len(refuse_overlap(table.images, tested, forced=config.allow_overlap))


class QualityCheck:
    """Measurement of accuracy on the lanes of an engine. The reference runs once, when it is first needed.

    Args:
        reference: Whose fp32 answers are the standard; None where the engine is that itself.
        request: What was asked of the engine.
    """

    def __init__(self, data: LabelledData, *, reference: Backend | None, request: EngineRequest) -> None:
        self._data = data
        self._reference = reference
        self._request = request
        self._standard: _Standard | None = None

    @property
    def subset_sha256(self) -> str:
        """The hash of the items that are counted, for the header."""
        return self._data.subset_sha256

    async def measure(self, engine: Engine, *, batch: int, lanes: int, on_progress: OnProgress) -> Accuracy:
        """Run the data set through `lanes` lanes at `batch`.

        Args:
            on_progress: Takes, now and then, how many items are done.

        Raises:
            DoesNotFitError: Memory for the lanes was refused.
            LaneError: An inference failed.
        """
        standard = await self._standard_of(on_progress)
        skipped: list[LeftOut] = []
        found = await self._answers(engine, batch=batch, lanes=lanes, on_progress=on_progress, skipped=skipped)
        if not found:
            raise self._nothing_left(skipped)
        drift, drift_items = await self._drift(engine, standard, batch=batch, lanes=lanes)
        metrics = await trio.to_thread.run_sync(self._metrics, found, standard.answers if standard else None)
        data = self._data
        left_out = [*data.dataset.left_out, *skipped]
        return Accuracy(
            dataset=data.name,
            subset=data.dataset.subset,
            subset_hash=data.subset_sha256,
            n=len(found),
            skipped=len(left_out),
            skipped_items=[SkippedItem(name=one.name, reason=one.reason) for one in left_out],
            calibrated_on=data.overlapping,
            reference=standard.name if standard else None,
            metrics=metrics,
            drift=drift,
            drift_items=drift_items,
        )

    def _nothing_left(self, skipped: Sequence[LeftOut]) -> BadInputError:
        left_out = [*self._data.dataset.left_out, *skipped]
        why = f": {left_out[0]}" if left_out else ""
        return BadInputError(
            f"of {counted(len(left_out), 'image')} of {self._data.name} none can be used{why}",
            remedy="name another data set",
        )

    async def _standard_of(self, on_progress: OnProgress) -> _Standard | None:
        if self._standard is None and self._reference is not None:
            batch = min(self._request.batches)  # a network may have one batch alone
            request = reference_request(self._request, batch=batch, lanes=REFERENCE_LANES)
            async with self._reference.open_engine(request) as engine:
                self._standard = _Standard(
                    name=reference_name(engine.facts, request),
                    answers=await self._answers(
                        engine, batch=batch, lanes=REFERENCE_LANES, on_progress=on_progress, skipped=[]
                    ),
                    outputs=await self._outputs(engine, batch=batch, lanes=1),
                )
        return self._standard

    async def _answers(
        self, engine: Engine, *, batch: int, lanes: int, on_progress: OnProgress, skipped: list[LeftOut]
    ) -> dict[str, Any]:
        take = read_detections if self._data.info.task is Task.DETECTION else read_top_labels
        async with self._batches(engine, batch, skipped, self._data.dataset.items, on_progress) as inputs:
            return await run_accuracy(engine, batch=batch, concurrency=lanes, inputs=inputs, take=take)

    async def _outputs(self, engine: Engine, *, batch: int, lanes: int) -> dict[str, Any]:
        items = self._data.dataset.items[:DRIFT_ITEMS]
        async with self._batches(engine, batch, [], items, lambda _: None) as inputs:
            return await run_accuracy(engine, batch=batch, concurrency=lanes, inputs=inputs, take=split_items)

    async def _drift(
        self, engine: Engine, standard: _Standard | None, *, batch: int, lanes: int
    ) -> tuple[list[OutputDrift] | None, int]:
        if standard is None:
            return None, 0
        own = await self._outputs(engine, batch=batch, lanes=lanes)
        return output_drift(own, standard.outputs), len(own)

    @asynccontextmanager
    async def _batches(
        self, engine: Engine, batch: int, skipped: list[LeftOut], items: Sequence[Item], on_progress: OnProgress
    ) -> AsyncIterator[AsyncIterator[ItemBatch]]:
        """Open the images here, in the caller's task: whoever iterates may be any."""
        images = open_batches(
            items,
            self._data.info.recipe,
            batch=batch,
            threads=DECODING_THREADS,
            ahead=BATCHES_AHEAD,
            on_left_out=skipped.append,
        )
        async with images as batches, aclosing(_item_batches(batches, engine.facts.inputs[0], on_progress)) as inputs:
            yield inputs

    def _metrics(self, found: Answers, reference: Answers | None) -> dict[MetricName, Metric]:
        data = self._data
        if data.truth is not None:
            return box_metrics(found, data.truth, reference=reference, published=data.published)
        accepted = {item.name: frozenset(item.classes) for item in data.dataset.items if item.classes}
        return class_metrics(found, accepted, reference=reference, published=data.published)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Standard:
    """Answers of the reference."""

    name: str
    answers: Answers
    outputs: Mapping[str, Any]


async def _item_batches(
    batches: AsyncIterable[PreparedBatch], spec: TensorSpec, on_progress: OnProgress
) -> AsyncGenerator[ItemBatch, None]:
    done = 0
    async for one in batches:
        yield _item_batch(one, spec)
        done += len(one.items)
        on_progress(done)


def _item_batch(one: PreparedBatch, spec: TensorSpec) -> ItemBatch:
    pixels = one.pixels.astype(spec.dtype, copy=False)
    return ItemBatch(item_ids=tuple(item.name for item in one.items), inputs={spec.name: pixels})
