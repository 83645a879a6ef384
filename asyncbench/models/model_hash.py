"""Hash of a model: of its file and of every file that its weights lie in.

Records, engine caches, calibration tables and `--resume` all go by it: two models with one hash are one model to them.
"""

from __future__ import annotations

import hashlib
import math
import posixpath
import re
from pathlib import Path

from onnx import ModelProto, TensorProto

from asyncbench.errors import BadInputError
from asyncbench.files.hash import sha256_of
from asyncbench.files.user_file import require_regular_file
from asyncbench.models.graph_walk import tensors_of
from asyncbench.models.onnx_file import read_without_weights

_PUT_BESIDE = "put that file beside the model"
_NUMBER = re.compile(r"[0-9]{1,20}")
_BITS: dict[int, int] = {
    TensorProto.BOOL: 8,
    TensorProto.INT8: 8,
    TensorProto.UINT8: 8,
    TensorProto.INT16: 16,
    TensorProto.UINT16: 16,
    TensorProto.FLOAT16: 16,
    TensorProto.BFLOAT16: 16,
    TensorProto.INT32: 32,
    TensorProto.UINT32: 32,
    TensorProto.FLOAT: 32,
    TensorProto.INT64: 64,
    TensorProto.UINT64: 64,
    TensorProto.DOUBLE: 64,
}
_SHOWN_CHARACTERS = 100
_SAVE_AGAIN = "save the model again, with its weights in its own folder or in the file itself"


def model_sha256(path: Path, *, beside: tuple[Path, ...] = ()) -> str:
    """Return what a model is known by. Blocking: reads all of it, a megabyte at a time.

    The SHA-256 of the file where it holds its own weights. Otherwise that of a list: the hash of the file, and behind
    it each external file once, sorted by the name that the model gives it, with its own hash.

    Args:
        beside: What else decides, such as a calibration: hashed as if it stood at the end of the file.

    Raises:
        BadInputError: It cannot be read, is not ONNX, or a file with its weights is missing or cannot be used.
    """
    external = external_files(read_without_weights(path), path)
    try:
        own = sha256_of((path, *beside))
        if not external:
            return own
        lines = [own, *(f"{sha256_of([file])} {location}" for location, file in external.items())]
    except OSError as error:
        raise BadInputError(
            f"cannot read {error.filename or path} ({error.strerror})", remedy="check that the file can be read"
        ) from error
    return hashlib.sha256("\n".join(lines).encode(errors="surrogateescape")).hexdigest()


def external_files(model: ModelProto, path: Path) -> dict[str, Path]:
    """Return the files that hold weights of the model in `path`, by the names that it gives them, sorted.

    Raises:
        BadInputError: One is missing, no regular file, shorter than the weights in it, or not in the model's folder.
    """
    ends: dict[str, int] = {}
    for tensor in tensors_of(model):
        if tensor.data_location == TensorProto.EXTERNAL:
            location, end = _reference(tensor, path)
            ends[location] = max(end, ends.get(location, 0))
    return {location: _checked(path, location, end_bytes=end) for location, end in sorted(ends.items())}


def _reference(tensor: TensorProto, path: Path) -> tuple[str, int]:
    """Return the name of a tensor's file, and where the tensor ends in it as far as the model says."""
    entries = {entry.key: entry.value for entry in tensor.external_data}
    if not entries.get("location"):
        raise BadInputError(
            f"{path} keeps the weights {tensor.name!r} in another file and does not name it", remedy=_SAVE_AGAIN
        )
    # As onnx's own checker has it: a model from elsewhere must not read what it likes of this machine.
    location = posixpath.normpath(entries["location"])
    if location.startswith(("/", "../")) or location == "..":
        raise BadInputError(
            f"{path} keeps the weights {tensor.name!r} in {location!r}, which leaves the model's folder",
            remedy=_SAVE_AGAIN,
        )
    offset, length = (entries.get(key) or "0" for key in ("offset", "length"))
    if not (_NUMBER.fullmatch(offset) and _NUMBER.fullmatch(length)):
        raise BadInputError(
            f"{path} does not say in numbers where the weights {tensor.name!r} lie in {location!r}", remedy=_SAVE_AGAIN
        )
    return location, int(offset) + (int(length) or _size_bytes(tensor))


def _size_bytes(tensor: TensorProto) -> int:
    """Return what the values of a tensor take, where that is a whole number of bytes each; else 0."""
    bits = _BITS.get(tensor.data_type, 0)
    return math.prod(tensor.dims) * bits // 8 if all(size > 0 for size in tensor.dims) else 0


def _checked(path: Path, location: str, *, end_bytes: int) -> Path:
    file = path.parent / location
    try:
        is_there = file.exists()
    except OSError as error:  # such as a name that is too long
        raise BadInputError(
            f"{path} keeps weights in {location[:_SHOWN_CHARACTERS]!r}, which cannot be looked for ({error.strerror})",
            remedy=_SAVE_AGAIN,
        ) from error
    if not is_there:
        raise BadInputError(f"{path} keeps weights in {file}, which is missing", remedy=_PUT_BESIDE)
    require_regular_file(file, what=f"{path} keeps weights in", remedy=_PUT_BESIDE)
    size_bytes = file.stat().st_size
    if size_bytes < end_bytes:
        raise BadInputError(
            f"{path} keeps weights in {file}, which has {size_bytes} of {end_bytes} bytes", remedy=_PUT_BESIDE
        )
    return file
