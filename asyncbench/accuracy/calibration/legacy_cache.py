"""TensorRT's own calibration cache, which its versions up to 10 read and write.

    TRT-8601-EntropyCalibration2
    input: 3c010a14
    conv1: 3d8872b0

The head has the version that wrote it and the algorithm; each line a tensor and its scale, `amax / 127`, as the 8 hex
digits of a float32, the highest byte first, or `0`. TensorRT only takes a cache whose head names its own version and
the calibrator's algorithm. Files of TensorRT 5 and before have a bare `1` for a head. The format is nowhere specified;
sources: the README of NVIDIA's sampleINT8, and files in the wild.
"""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from asyncbench.errors import BadInputError
from asyncbench.files.user_file import read_user_text
from asyncbench.files.whole_file import write_whole
from asyncbench.text_enum import TextEnum

LEVELS = 127
_HEAD_BEGINS = "TRT-"
_HEAD = re.compile(rf"{_HEAD_BEGINS}([0-9A-Z]+)-(\w+)")
_SCALE = re.compile(r"[0-9a-fA-F]{8}")
_ZERO = "0"  # TensorRT does not fill up with zeros, and no other scale that it writes is as small as to begin with one
_VERSION = re.compile(r"[0-9]+(\.[0-9]+){1,3}")
_OLD_HEAD = "1"  # a whole line
_LARGEST_FLOAT32 = 3.4028234663852886e38
_FIRST_WITH_LONG_NUMBERS = 10


class Algorithm(TextEnum):
    """TensorRT's names of its calibrators, as the head has them."""

    ENTROPY_2 = "EntropyCalibration2"
    ENTROPY = "EntropyCalibration"
    MIN_MAX = "MinMaxCalibration"
    LEGACY = "LegacyCalibration"


@dataclass(frozen=True, slots=True, kw_only=True)
class LegacyCache:
    """One such file.

    Attributes:
        version_number: As in the head, such as `8601`; None for the bare `1`.
        scales: By tensor, in the order of the file: float32 values, finite and not negative.
    """

    version_number: str | None
    algorithm: Algorithm
    scales: Mapping[str, float]


def version_number(tensorrt_version: str) -> str:
    """Return what a head has for `8.6.1` or `10.3.0.26`: `8601`, `100300`.

    Source: NV_TENSORRT_VERSION in NvInferVersion.h, where the major version counts 1000, and 10000 from 10 on.

    Raises:
        BadInputError: It is no version.
    """
    if not _VERSION.fullmatch(tensorrt_version):
        raise BadInputError(f"{tensorrt_version!r} is not a TensorRT version", remedy="write it as 8.6.1")
    major, minor, patch = (int(part) for part in [*tensorrt_version.split("."), "0"][:3])
    factor = 10_000 if major >= _FIRST_WITH_LONG_NUMBERS else 1_000
    return str(major * factor + minor * 100 + patch)


def begins_as_cache(text: str) -> bool:
    """Return whether a text begins as a cache does, be the rest right or wrong."""
    return text.startswith(_HEAD_BEGINS) or text.partition("\n")[0].rstrip("\r") == _OLD_HEAD


def read_cache(path: Path) -> LegacyCache:
    """Return the cache in `path`. Blocking.

    Raises:
        BadInputError: It cannot be read, or a line is not as it must be; the error has its number.
    """
    text = read_user_text(path, what="cannot read the calibration cache", remedy="name the file that was calibrated")
    return parse_cache(text.encode(), source=str(path))


def write_cache(cache: LegacyCache, path: Path) -> None:
    """Write the cache, whole or not at all. Blocking.

    Raises:
        OutputError: It cannot be written.
    """
    write_whole(path, format_cache(cache))


def parse_cache(data: bytes, *, source: str) -> LegacyCache:
    """Return what the bytes of a cache say.

    Args:
        source: What errors call it.

    Raises:
        BadInputError: See `read_cache`.
    """
    try:
        lines = [line.removesuffix("\r") for line in data.decode().split("\n")]
    except UnicodeDecodeError as error:
        raise _refusal(source, data[: error.start].count(b"\n") + 1, "it is not UTF-8") from error
    while len(lines) > 1 and not lines[-1]:
        lines.pop()
    number, algorithm = _parse_head(lines[0], source)
    scales: dict[str, float] = {}
    finished = data.count(b"\n")
    for index, line in enumerate(lines[1:], start=2):
        name, scale = _parse_line(line, source, index, may_be_short=index <= finished)
        if name in scales:
            raise _refusal(source, index, f"{name!r} comes a second time")
        scales[name] = scale
    if not scales:
        raise _refusal(source, 2, "there is no tensor")
    return LegacyCache(version_number=number, algorithm=algorithm, scales=scales)


def format_cache(cache: LegacyCache) -> bytes:
    """Return the file; `parse_cache` gives the same cache back.

    Raises:
        BadInputError: There is no tensor, or a name has a line break.
        ValueError: A scale is not finite, or negative.
    """
    if not cache.scales:
        raise BadInputError(
            "a calibration cache needs a tensor whose range is above 0, and there is none",
            remedy="calibrate on images that are not empty: asyncbench calibrate",
        )
    head = _OLD_HEAD if cache.version_number is None else f"{_HEAD_BEGINS}{cache.version_number}-{cache.algorithm}"
    lines = [head, *(f"{_checked_name(name)}: {_hex_of(scale)}" for name, scale in cache.scales.items())]
    return "".join(f"{line}\n" for line in lines).encode()


def for_builder(cache: LegacyCache, tensorrt_version: str) -> LegacyCache:
    """Return the cache with the head that this TensorRT's entropy calibrator accepts, whoever wrote it.

    Scales that are 0 are left out: TensorRT wants positive ones, and keeps tensors without one in float.
    """
    positive = {name: scale for name, scale in cache.scales.items() if scale > 0}
    return replace(
        cache, version_number=version_number(tensorrt_version), algorithm=Algorithm.ENTROPY_2, scales=positive
    )


def _parse_head(line: str, source: str) -> tuple[str | None, Algorithm]:
    if line == _OLD_HEAD:
        return None, Algorithm.ENTROPY
    match = _HEAD.fullmatch(line)
    if match is None or match.group(2) not in set(map(str, Algorithm)):
        raise _refusal(source, 1, f"{line[:60]!r} is not a head such as 'TRT-8601-EntropyCalibration2'")
    return match.group(1), Algorithm(match.group(2))


def _parse_line(line: str, source: str, index: int, *, may_be_short: bool) -> tuple[str, float]:
    name, colon, digits = line.rpartition(": ")
    if may_be_short and digits == _ZERO:
        digits = digits.zfill(8)
    if not colon or not name or not _SCALE.fullmatch(digits):
        raise _refusal(source, index, f"{line[:60]!r} is not a tensor with 8 hex digits, such as 'conv1: 3d8872b0'")
    scale: float = struct.unpack(">f", bytes.fromhex(digits))[0]
    if math.isnan(scale) or math.copysign(1.0, scale) < 0 or scale * LEVELS > _LARGEST_FLOAT32:
        raise _refusal(source, index, f"the scale of {name!r} is {scale:g}")
    return name, scale


def _hex_of(scale: float) -> str:
    if not math.isfinite(scale) or scale < 0:
        raise ValueError(f"a scale of {scale}")
    return struct.pack(">f", abs(scale)).hex()


def _checked_name(name: str) -> str:
    if not name or "\n" in name or "\r" in name:
        raise BadInputError(f"a calibration cache cannot hold the tensor {name!r}", remedy="rename it in the model")
    return name


def _refusal(source: str, line: int, reason: str) -> BadInputError:
    return BadInputError(
        f"{source} is cut off or no calibration cache: line {line}: {reason}",
        remedy="copy it whole, or calibrate again",
        line=line,
    )
