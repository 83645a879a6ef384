"""Calibration files, portable tables or caches of TensorRT, and the way from the one to the other."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from asyncbench.accuracy.calibration.legacy_cache import (
    LEVELS,
    Algorithm,
    LegacyCache,
    begins_as_cache,
    read_cache,
    version_number,
)
from asyncbench.accuracy.calibration.table import CalibrationTable, Method, MethodName, listed, read_table
from asyncbench.errors import BadInputError
from asyncbench.files.user_file import read_user_text, require_regular_file
from asyncbench.units import counted

_WHAT = "cannot read the calibration"
_REMEDY = "name a table of `asyncbench calibrate`, or a cache of TensorRT, with --calibration"
# TensorRT's legacy calibrator takes a quantile, whose value its cache does not have.
_METHODS = {
    Algorithm.ENTROPY_2: MethodName.ENTROPY,
    Algorithm.ENTROPY: MethodName.ENTROPY,
    Algorithm.MIN_MAX: MethodName.MIN_MAX,
    Algorithm.LEGACY: MethodName.PERCENTILE,
}
# How TensorRT calls tensors that the network it was given does not have: those of layers without a name, and, from
# 8.6 on, of layers that its parser puts in.
_OWN_NAMES = ("(Unnamed ", "ONNXTRT_")


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
    return begins_as_cache(read_user_text(path, what=_WHAT, remedy=_REMEDY))


def read_calibration(path: Path) -> CalibrationTable:
    """Return what a calibration file says, of whichever of the two kinds it is. Blocking.

    A cache does not say of which model it is, nor which images it has seen.

    Raises:
        BadInputError: It cannot be read, is cut off, is neither, or has no tensor of a network.
    """
    return table_of(read_cache(path), source=str(path))[0] if is_legacy_cache(path) else read_table(path)


def table_of(
    cache: LegacyCache, *, source: str = "the calibration cache", model_sha256: str | None = None
) -> tuple[CalibrationTable, tuple[str, ...]]:
    """Return the table of a legacy cache, and what it does not know or was left out, a line each.

    Args:
        source: What errors call the cache.
        model_sha256: Of the model that the caller vouches for; without it only the tensors say so.

    Ranges are `127 * scale`, exactly: `cache_of` gives the same scales back.

    Raises:
        BadInputError: No tensor has a name of the network's own.
    """
    unnamed = [name for name in cache.scales if name.startswith(_OWN_NAMES)]
    ranges = {name: scale * LEVELS for name, scale in cache.scales.items() if name not in set(unnamed)}
    if not ranges:
        raise BadInputError(
            f"{source} has only tensors that TensorRT knows: {listed(unnamed)}",
            remedy="calibrate the ONNX file: asyncbench calibrate",
        )
    lost = ["which images it was calibrated on, and what was done to them: a cache does not say"]
    if model_sha256 is None:
        lost.append("of which model it is: name it with --model, or only its tensors tell")
    if unnamed:
        lost.append(f"{counted(len(unnamed), 'tensor')} that only TensorRT knows: {listed(unnamed)}")
    written_by = "unknown" if cache.version_number is None else cache.version_number
    table = CalibrationTable(
        model_sha256=model_sha256,
        method=Method(name=_METHODS[cache.algorithm]),
        recipe=None,
        images=(),
        versions={"tensorrt": written_by},
        ranges=ranges,
    )
    return table, tuple(lost)


def cache_of(table: CalibrationTable, *, tensorrt_version: str) -> tuple[LegacyCache, tuple[str, ...]]:
    """Return the legacy cache for that TensorRT, such as `8.6.1`, and what of the table it cannot hold, a line each.

    The head says EntropyCalibration2 whatever the method: it names the calibrator that reads it.
    """
    rounded = {name: float(np.float32(amax / LEVELS)) for name, amax in table.ranges.items()}
    scales = {name: scale for name, scale in rounded.items() if scale > 0}
    dead = [name for name, scale in rounded.items() if scale == 0]
    lost = [f"the model's hash, the recipe, the hashes of {counted(len(table.images), 'image')}, the versions"]
    if table.method.name is not MethodName.ENTROPY:
        lost.append(f"the method ({table.method}): the head says entropy, because that calibrator reads it")
    if dead:
        lost.append(f"{counted(len(dead), 'tensor')} always at 0, for which TensorRT has no scale: {listed(dead)}")
    cache = LegacyCache(version_number=version_number(tensorrt_version), algorithm=Algorithm.ENTROPY_2, scales=scales)
    return cache, tuple(lost)
