"""The file of a packaged network: written once, whole or not at all, and reused."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType

import onnx

from asyncbench.errors import BadInputError, OutputError
from asyncbench.models.catalog import find_model
from asyncbench.models.graphs.mobilenet import build_mobilenet
from asyncbench.models.graphs.resnet50 import build_resnet50
from asyncbench.models.graphs.ssdmobilenet import build_ssdmobilenet
from asyncbench.models.identification import identify
from asyncbench.models.inspection import inspect_model

# To be raised with every change of what a seed gives, so that an old file is not taken for a new one.
FORMAT_VERSION = 1

_BUILDERS: Mapping[str, Callable[..., onnx.ModelProto]] = MappingProxyType(
    {"mobilenet": build_mobilenet, "resnet50": build_resnet50, "ssdmobilenet": build_ssdmobilenet}
)


def write_model(name: str, folder: Path, seed: int) -> Path:
    """Return `<name>-seed<seed>-v<format>.onnx` in `folder`, written now unless a valid one is there. Blocking.

    Two processes may call this at once: each writes its own temporary file, and both are the same.

    Raises:
        BadInputError: There is no model of that name.
        OutputError: The file cannot be written; nothing of it is left.
    """
    path = folder / f"{find_model(name).name}-seed{seed}-v{FORMAT_VERSION}.onnx"
    if _is_valid(path, name):
        return path
    content = build_model(name, seed=seed).SerializeToString(deterministic=True)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _write_whole(path, content)
    except OSError as error:
        raise OutputError(
            f"cannot write the model {path} of {len(content)} B ({error.strerror})",
            remedy=f"make {folder} writable and free space there, or set ASYNCBENCH_CACHE to another folder",
        ) from error
    return path


def build_model(name: str, *, seed: int) -> onnx.ModelProto:
    """Return the network of that name. A seed gives the same bytes on every machine.

    Raises:
        BadInputError: There is no model of that name.
    """
    return _BUILDERS[find_model(name).name](seed=seed)


def _is_valid(path: Path, name: str) -> bool:
    """Return whether the file is there and still is that network: a disk that was full may have cut it off."""
    try:
        return identify(inspect_model(path)) == find_model(name)
    except BadInputError:
        return False


def _write_whole(path: Path, content: bytes) -> None:
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=f".{path.name}.", delete=False) as file:
        try:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
            Path(file.name).chmod(0o644)
            Path(file.name).replace(path)
        except BaseException:
            Path(file.name).unlink(missing_ok=True)
            raise
