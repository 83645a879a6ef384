"""A calibration as the user has it: a portable table, or a calibration cache of TensorRT."""

from __future__ import annotations

from pathlib import Path

from asyncbench.calibration.conversion import table_of
from asyncbench.calibration.legacy_cache import read_cache
from asyncbench.calibration.table import CalibrationTable, read_table
from asyncbench.errors import BadInputError

_HEAD = b"TRT-"


def is_legacy_cache(path: Path) -> bool:
    """Return whether a file begins as TensorRT's calibration caches do. Blocking.

    Raises:
        BadInputError: It cannot be read.
    """
    try:
        with path.open("rb") as file:
            return file.read(len(_HEAD)) == _HEAD
    except OSError as error:
        raise BadInputError(
            f"cannot read the calibration {path} ({error.strerror})",
            remedy="name a table or cache with --calibration",
        ) from error


def read_calibration(path: Path) -> CalibrationTable:
    """Return what a calibration file says, of whichever of the two kinds it is. Blocking.

    A cache does not say of which model it is, nor which images it has seen.

    Raises:
        BadInputError: It cannot be read, is cut off, or is neither.
    """
    return table_of(read_cache(path))[0] if is_legacy_cache(path) else read_table(path)
