"""A calibration as the user has it: a portable table, or a calibration cache of TensorRT."""

from __future__ import annotations

from pathlib import Path

from asyncbench.accuracy.calibration.conversion import table_of
from asyncbench.accuracy.calibration.legacy_cache import read_cache
from asyncbench.accuracy.calibration.table import CalibrationTable, read_table
from asyncbench.files.user_file import read_user_text, require_regular_file

_HEAD = "TRT-"
_OLD_HEAD = "1"  # a whole line, of TensorRT 5 and before
_WHAT = "cannot read the calibration"
_REMEDY = "name a table of `asyncbench calibrate`, or a cache of TensorRT, with --calibration"


def require_calibration(path: Path) -> None:
    """Check that a calibration is a file that can be read more than once: it is also known by its hash.

    Raises:
        BadInputError: It is missing, or no file.
    """
    require_regular_file(path, what=_WHAT, remedy=_REMEDY)


def is_legacy_cache(path: Path) -> bool:
    """Return whether a file begins as TensorRT's calibration caches do. Blocking.

    Raises:
        BadInputError: It cannot be read, or is no text.
    """
    text = read_user_text(path, what=_WHAT, remedy=_REMEDY)
    return text.startswith(_HEAD) or text.partition("\n")[0].rstrip("\r") == _OLD_HEAD


def read_calibration(path: Path) -> CalibrationTable:
    """Return what a calibration file says, of whichever of the two kinds it is. Blocking.

    A cache does not say of which model it is, nor which images it has seen.

    Raises:
        BadInputError: It cannot be read, is cut off, is neither, or has no tensor of a network.
    """
    return table_of(read_cache(path), source=str(path))[0] if is_legacy_cache(path) else read_table(path)
