"""Check of a classifier's answers against labels: the cheapest proof that an engine computes the network."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from asyncbench.errors import BadInputError
from asyncbench.files.json_problem import json_problem
from asyncbench.files.user_file import read_user_text
from asyncbench.models.decoding import top_classes
from asyncbench.models.image_names import match_names
from asyncbench.tensors import AnyArray


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelCheck:
    """Number of images of a batch that the network got right.

    Attributes:
        right: Images whose most probable class is among those that are accepted.
        counted: Images in the batch that have a label, each counted once.
    """

    right: int
    counted: int


def check_labels(outputs: Mapping[str, AnyArray], image_paths: Sequence[Path], labels_file: Path) -> LabelCheck:
    """Compare the outputs of a classifier with the labels of its images. Blocking: reads the file.

    Args:
        outputs: One array, `(batch, classes)`; item i belongs to image i, repeated ones after the last are left out.
        labels_file: JSON, a list of objects with `file` and `accept_classes`, of which the first class is 0.

    Raises:
        BadInputError: The file cannot be read, or is not of that form.
    """
    (output,) = outputs.values()
    scores = output.astype(np.float32)
    by_listed_name = read_labels(labels_file)
    match = match_names(by_listed_name, {path.name: path for path in image_paths}, source=labels_file)
    labels = {name: by_listed_name[listed] for name, listed in match.listed.items()}
    tops = top_classes(scores, 1)[:, 0].tolist()
    verdicts = [
        # A row with a NaN in it has no top class, whatever sorting makes of it.
        top in labels[path.name] and bool(np.isfinite(row).all())
        for path, top, row in zip(image_paths, tops, scores, strict=False)
        if path.name in labels
    ]
    return LabelCheck(right=sum(verdicts), counted=len(verdicts))


def read_labels(labels_file: Path) -> dict[str, frozenset[int]]:
    """Return the accepted classes by what the file calls the image. Blocking.

    Raises:
        BadInputError: The file cannot be read, or is not of the form that `check_labels` wants.
    """
    remedy = "make it a list of objects with file and accept_classes, or take it out of the folder"
    text = read_user_text(labels_file, what="cannot read the labels", remedy=remedy)
    try:
        return {str(entry["file"]): frozenset(entry["accept_classes"]) for entry in json.loads(text)}
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        raise BadInputError(f"{labels_file} is not a list of labels ({json_problem(error)})", remedy=remedy) from error
