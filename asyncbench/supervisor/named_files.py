"""The files and folders that options name, looked at before a process is started for them."""

from __future__ import annotations

from pathlib import Path

from asyncbench.accuracy.datasets.subset import NamesIn, parse_subset
from asyncbench.errors import BadInputError
from asyncbench.files.user_file import require_regular_file
from asyncbench.sweep.config import SweepConfig


def check_named_files(config: SweepConfig) -> None:
    """Refuse what is missing, a pipe, a device or the other of file and folder. Reads none of it.

    Whether they hold what they should, the bench process says.

    Raises:
        BadInputError: One cannot be used; the message names the option.
    """
    if config.calibration is not None:
        remedy = "name a table of `asyncbench calibrate`, or a cache of TensorRT"
        require_regular_file(Path(config.calibration), what="--calibration", remedy=remedy)
    if config.dataset is not None:
        _require_folder(Path(config.dataset))
    if config.truth is not None:
        remedy = "name a file with labels, or COCO's instances"
        require_regular_file(Path(config.truth), what="--truth", remedy=remedy)
    if config.subset is not None:
        subset = parse_subset(config.subset)
        if isinstance(subset, NamesIn):
            require_regular_file(subset.path, what="--subset", remedy="name a text file with one name a line")


def _require_folder(folder: Path) -> None:
    try:
        reason = None if folder.is_dir() else "it is no folder" if folder.exists() else "there is no such folder"
    except OSError as error:  # one above it may not be looked into, or the name is too long
        reason = error.strerror
    if reason is not None:
        raise BadInputError(f"--dataset {folder}: {reason}", remedy="name a folder of labelled images")
