"""A calibration as the user has it: a portable table, or a calibration cache of TensorRT."""

from __future__ import annotations

from pathlib import Path

from asyncbench.calibration.conversion import table_of
from asyncbench.calibration.legacy_cache import read_cache
from asyncbench.calibration.table import CalibrationTable, read_table
from asyncbench.errors import BadInputError

_HEAD = b"TRT-"
_OLD_HEAD = b"1"  # a whole line, of TensorRT 5 and before


def is_legacy_cache(path: Path) -> bool:
    """Return whether a file begins as TensorRT's calibration caches do. Blocking.

    Raises:
        BadInputError: It cannot be read.
    """
    try:
        with path.open("rb") as file:
            begin = file.read(len(_HEAD))
    except OSError as error:
        raise BadInputError(
            f"cannot read the calibration {path} ({error.strerror})",
            remedy="name a table or cache with --calibration",
        ) from error
    return begin == _HEAD or begin.split(b"\n")[0].rstrip(b"\r") == _OLD_HEAD


def read_calibration(path: Path) -> CalibrationTable:
    """Return what a calibration file says, of whichever of the two kinds it is. Blocking.

    A cache does not say of which model it is, nor which images it has seen.

    Raises:
        BadInputError: It cannot be read, is cut off, is neither, or has no tensor of a network.
    """
    return table_of(read_cache(path), source=str(path))[0] if is_legacy_cache(path) else read_table(path)
