"""Top-1 and Top-5 of a classifier, and what it lost against a reference."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Set as AbstractSet

import numpy as np
import numpy.typing as npt

from asyncbench.accuracy.metrics.intervals import paired_interval, wilson_interval
from asyncbench.models.decoding import top_classes
from asyncbench.results.accuracy import Metric, MetricName, PublishedFigure
from asyncbench.tensors import AnyArray

TopLabels = tuple[int, ...]
"""The five surest labels of an item, the surest first; none of an item whose scores are not finite."""

AcceptedLabels = Mapping[str, AbstractSet[int]]
"""The right labels by item; most data sets have one each."""

BoolArray = npt.NDArray[np.bool_]

_DEPTHS = {MetricName.TOP1: 1, MetricName.TOP5: 5}
_METHOD = "Wilson's score interval; of the drop, Tango's for pairs"


def read_top_labels(outputs: Mapping[str, AnyArray]) -> list[TopLabels]:
    """Return the surest labels of each item of a batch; see `top_classes` for the background.

    Args:
        outputs: One array, `(items, classes)`.
    """
    (output,) = outputs.values()
    scores = output.astype(np.float32)
    finite = [bool(np.isfinite(row).all()) for row in scores]
    ranked = top_classes(scores, max(_DEPTHS.values())).tolist()
    return [tuple(labels) if usable else () for labels, usable in zip(ranked, finite, strict=True)]


def class_metrics(
    found: Mapping[str, TopLabels],
    accepted: AcceptedLabels,
    *,
    reference: Mapping[str, TopLabels] | None = None,
    published: Mapping[MetricName, PublishedFigure] | None = None,
) -> dict[MetricName, Metric]:
    """Return Top-1 and Top-5 over the items of `found` that have a label.

    Args:
        found: What the engine says, by item.
        reference: What the reference says of the same items.
        published: For the whole validation set, where known.

    Raises:
        ValueError: The reference has other items.
    """
    if reference is not None and found.keys() != reference.keys():
        raise ValueError("the engine and its reference saw different items")
    return {
        name: _metric(
            _hits(found, accepted, depth),
            None if reference is None else _hits(reference, accepted, depth, order=found),
            published=(published or {}).get(name),
        )
        for name, depth in _DEPTHS.items()
    }


def _hits(
    found: Mapping[str, TopLabels],
    accepted: AcceptedLabels,
    depth: int,
    *,
    order: Mapping[str, TopLabels] | None = None,
) -> BoolArray:
    counted = [item for item in order or found if item in accepted]
    return np.array([not accepted[item].isdisjoint(found[item][:depth]) for item in counted], dtype=np.bool_)


def _metric(hits: BoolArray, reference: BoolArray | None, *, published: PublishedFigure | None) -> Metric:
    n = len(hits)
    compared = reference if n else None
    lost, won = (0, 0) if compared is None else (int((compared & ~hits).sum()), int((hits & ~compared).sum()))
    return Metric(
        value=float(hits.mean()) if n else None,
        interval=wilson_interval(int(hits.sum()), n),
        method=_METHOD,
        n=n,
        reference_value=None if compared is None else float(compared.mean()),
        drop=None if compared is None else (lost - won) / n,
        drop_interval=None if compared is None else paired_interval(first_only=lost, second_only=won, n=n),
        published=published,
    )
