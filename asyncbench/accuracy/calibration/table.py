"""The portable calibration table: a JSON file with the ranges, and the network and images they come from."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, TypeAdapter, ValidationError

from asyncbench.errors import BadInputError
from asyncbench.files.hash import sha256_of
from asyncbench.files.user_file import read_user_text
from asyncbench.files.whole_file import write_whole
from asyncbench.text_enum import TextEnum

# 1: the first.
SCHEMA_VERSION = 1
_CALIBRATE = "calibrate again: asyncbench calibrate"
_SHOWN_NAMES = 5
_ALL_PERCENT = 100

Sha256Text = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
# As large as a float32 can be: beyond it there is no scale.
Amax = Annotated[float, Field(ge=0, le=3.4028234663852886e38, allow_inf_nan=False)]


class MethodName(TextEnum):
    """Ways to choose a range from the values that were seen."""

    ENTROPY = "entropy"
    PERCENTILE = "percentile"
    MIN_MAX = "min-max"


@dataclass(frozen=True, slots=True, kw_only=True)
class Method:
    """Method that finds ranges, with its parameter.

    Attributes:
        percentile: In percent, such as 99.99: the share of absolute values within the range; for `percentile` only.
    """

    name: MethodName
    percentile: float | None = None

    def __post_init__(self) -> None:
        if self.percentile is not None and not 0 < self.percentile <= _ALL_PERCENT:
            raise BadInputError(
                f"{self.percentile:g} is not a percentile", remedy="give one above 0 and up to 100, such as 99.99"
            )

    def __str__(self) -> str:
        return str(self.name) if self.percentile is None else f"{self.name} {self.percentile:g}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageHash:
    """One image: its name for people, and the SHA-256 of its file, by which it is known."""

    name: str
    sha256: Sha256Text


@dataclass(frozen=True, slots=True, kw_only=True)
class CalibrationTable:
    """The file's contents.

    Attributes:
        model_sha256: As in `ModelFacts`; None in a table from a legacy cache, which does not say: its tensors are
            held against the graph.
        recipe: What was done to the images, in words; None where it is not known.
        images: The images that were seen; none where it is not known.
        versions: Of the libraries that took part.
        ranges: The largest absolute value that int8 shall hold, by tensor, in the order of the graph. 0 for a tensor
            that was never anything else.
    """

    schema_version: Literal[1] = 1
    model_sha256: Sha256Text | None
    method: Method
    recipe: str | None
    images: tuple[ImageHash, ...]
    versions: dict[str, str]
    ranges: Annotated[dict[str, Amax], Field(min_length=1)]


_ADAPTER = TypeAdapter(CalibrationTable)
_VERSION_ADAPTER: TypeAdapter[dict[str, object]] = TypeAdapter(dict[str, object])


def hash_images(paths: Iterable[Path]) -> tuple[ImageHash, ...]:
    """Return name and hash of each image. Blocking: reads the files.

    Raises:
        BadInputError: One cannot be read.
    """
    try:
        return tuple(ImageHash(name=path.name, sha256=sha256_of([path])) for path in paths)
    except OSError as error:
        raise BadInputError(
            f"cannot read the image {error.filename} ({error.strerror})", remedy="take it out of the folder"
        ) from error


def encode_table(table: CalibrationTable) -> bytes:
    """Return the table as indented JSON with a final newline; equal tables give equal bytes."""
    return _ADAPTER.dump_json(table, indent=1) + b"\n"


def write_table(table: CalibrationTable, path: Path) -> None:
    """Write the table; `path` is either whole or as it was. Blocking.

    Raises:
        OutputError: It cannot be written.
    """
    write_whole(path, encode_table(table))


def read_table(path: Path) -> CalibrationTable:
    """Return the table in `path`. Blocking.

    Raises:
        BadInputError: It cannot be read, is cut off, is of another schema version, or is not a calibration table.
    """
    text = read_user_text(path, what="cannot read the calibration table", remedy="name a table, or calibrate first")
    return decode_table(text.encode(), source=str(path))


def decode_table(text: bytes, *, source: str) -> CalibrationTable:
    """Return what `encode_table` wrote; unknown keys are ignored.

    Args:
        source: What the error calls it.

    Raises:
        BadInputError: See `read_table`.
    """
    try:
        version = _VERSION_ADAPTER.validate_json(text).get("schema_version")
    except ValidationError as error:
        raise BadInputError(
            f"{source} is cut off or no JSON table ({_first(error)})", remedy=f"{_CALIBRATE}, or copy it whole"
        ) from error
    if version != SCHEMA_VERSION:
        raise BadInputError(
            f"{source} has schema version {version!r}, this asyncbench reads {SCHEMA_VERSION}", remedy=_CALIBRATE
        )
    try:
        return _ADAPTER.validate_json(text)
    except ValidationError as error:
        raise BadInputError(f"{source} is not a calibration table ({_first(error)})", remedy=_CALIBRATE) from error


def check_table(table: CalibrationTable, *, source: str, model_sha256: str, foreign: Collection[str]) -> None:
    """Refuse a table that is not of this network; one that does not say of which it is, is known by its tensors.

    Args:
        foreign: The table's tensors that the graph does not have.

    Raises:
        BadInputError: The table is of another model, or names a tensor that the graph does not have.
    """
    if table.model_sha256 is not None and table.model_sha256 != model_sha256:
        raise BadInputError(
            f"{source} is a table of another model ({_short(table.model_sha256)} instead of {_short(model_sha256)})",
            remedy="calibrate this one: asyncbench calibrate",
        )
    if foreign:
        raise BadInputError(
            f"{source} is of another model: {len(foreign)} of its {len(table.ranges)} tensors are not in the graph "
            f"({listed(foreign)})",
            remedy="calibrate this one: asyncbench calibrate",
        )


def refuse_overlap(
    calibration: Collection[ImageHash], test: Collection[ImageHash], *, forced: bool = False
) -> tuple[ImageHash, ...]:
    """Refuse to measure accuracy on images whose bytes were calibrated on, under whatever name: it would flatter.

    Returns:
        The test images in both, empty unless `forced`: they belong into the record.

    Raises:
        BadInputError: There are such images; the error names them.
    """
    calibrated = {image.sha256 for image in calibration}
    shared = tuple(image for image in test if image.sha256 in calibrated)
    if shared and not forced:
        raise BadInputError(
            f"{len(shared)} of {len(test)} images of the test set were calibrated on: "
            f"{listed([image.name for image in shared])}",
            remedy="calibrate on other images, or use --allow-overlap and say so beside the figure",
            overlapping_images=len(shared),
        )
    return shared


def listed(names: Collection[str]) -> str:
    """Return the first few names, and how many more there are."""
    shown = ", ".join(list(names)[:_SHOWN_NAMES])
    return shown if len(names) <= _SHOWN_NAMES else f"{shown} and {len(names) - _SHOWN_NAMES} more"


def _short(sha256: str) -> str:
    return f"{sha256[:12]}…"


def _first(error: ValidationError) -> str:
    first = error.errors(include_url=False)[0]
    where = ".".join(str(part) for part in first["loc"])
    return f"{where}: {first['msg']}" if where else first["msg"]
