"""Accuracy block of a record: how right the answers of the engine are that was timed."""

from __future__ import annotations

from typing import Annotated

from pydantic import BeforeValidator, NonNegativeFloat, NonNegativeInt

from asyncbench.results.fields import RecordModel, ShortText, Text
from asyncbench.text_enum import TextEnum

MAX_SKIPPED_NAMED = 20  # enough to find them by; a folder of 50,000 wrong files must not make a line of megabytes


class MetricName(TextEnum):
    """Metric of accuracy. All are shares, 0 to 1."""

    TOP1 = "top1"
    TOP5 = "top5"
    AP = "ap"
    AP50 = "ap50"
    AP75 = "ap75"


class Interval(RecordModel):
    """The 95 % confidence interval of a share or of a difference of two."""

    low: float
    high: float


class PublishedFigure(RecordModel):
    """Figure that the publisher of the weights reports, for the whole validation set."""

    low: float
    high: float
    """Equal to `low` but where sources differ."""
    source: Text


class Metric(RecordModel):
    """One figure of accuracy, a share from 0 to 1."""

    value: float | None
    """Null where it is undefined: no item has a label, no image has an object."""
    interval: Interval | None
    """Of subsets of this size: average precision falls as images are added. Null where there are too few items."""
    method: Text
    """Method of the intervals."""
    n: NonNegativeInt
    """Items that count."""
    reference_value: float | None = None
    """Of the reference, on the same items."""
    drop: float | None = None
    """Reference minus this engine: above 0 where accuracy was lost."""
    drop_interval: Interval | None = None
    """Paired: both saw the same items."""
    published: PublishedFigure | None = None


class SkippedItem(RecordModel):
    """An item that does not count."""

    name: Text
    reason: ShortText


class OutputDrift(RecordModel):
    """Distance of one output from the reference's, element by element, on the same items."""

    output: Text
    max_abs_difference: NonNegativeFloat | None
    """Null where either holds a value that is not finite."""
    reference_max_abs: NonNegativeFloat | None
    """The largest value of the reference: what the difference is to be seen against."""


def _first_few(value: object) -> object:
    return value[:MAX_SKIPPED_NAMED] if isinstance(value, list | tuple) else value


class Accuracy(RecordModel):
    """The accuracy of one engine at one batch and concurrency."""

    dataset: Text
    subset: Text
    """Choice of the items, such as `first 5 per class`."""
    subset_hash: str
    """SHA-256 of the chosen items and their labels: equal ones give comparable figures."""
    n: NonNegativeInt
    """Items that the engine saw and that count."""
    skipped: NonNegativeInt
    skipped_items: Annotated[list[SkippedItem], BeforeValidator(_first_few)]
    """The first 20 of those that were skipped."""
    calibrated_on: NonNegativeInt | None = 0
    """Items that the int8 calibration has seen too: with any of them the figures flatter.

    Null where it does not say what it has seen.
    """
    reference: Text | None = None
    """The engine that the drops are against, such as `onnxruntime 1.20.1 in fp32`."""
    metrics: dict[MetricName, Metric]
    drift: list[OutputDrift] | None = None
    """Null where nothing was compared."""
    drift_items: NonNegativeInt = 0
