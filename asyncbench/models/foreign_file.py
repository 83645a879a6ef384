"""Recognition, by its first bytes, of a file that was given for an ONNX model and is none."""

from __future__ import annotations

import re
from dataclasses import dataclass

HEAD_BYTES = 512
"""How much of the beginning tells."""

_EXPORT = "export the network as ONNX and name that file"
_PYTORCH = "export the network with torch.onnx.export and name that file"
_DOWNLOAD = "download the file itself, as .onnx"
_SOURCE = "name the ONNX file that it was made from"
_CONVERT = "convert it to ONNX, with tf2onnx for one, and name that file"
_UNPACK = "unpack it and name the .onnx file"
_TEXT = re.compile(rb"[\t\n\r\x20-\x7e]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class ForeignFile:
    """Description of a file, as the end of a sentence that starts with its path, and the remedy."""

    text: str
    remedy: str


def _kind(at: int, magic: bytes, text: str, remedy: str = _EXPORT) -> tuple[int, bytes, ForeignFile]:
    return at, magic, ForeignFile(text=text, remedy=remedy)


# Where it stands, what stands there, and what that is.
_KINDS = (
    _kind(
        0,
        b"version https://git-lfs",
        "is a Git LFS pointer, not the model",
        "fetch the file that it stands for with git lfs pull",
    ),
    _kind(0, b"PK\x03\x04", "is a zip archive, as PyTorch (.pt, .pth) and Keras save them", _PYTORCH),
    _kind(0, b"\x80\x02", "is a Python pickle, as old PyTorch checkpoints are", _PYTORCH),
    _kind(0, b"\x80\x03", "is a Python pickle", _PYTORCH),
    _kind(0, b"\x80\x04", "is a Python pickle", _PYTORCH),
    _kind(0, b"\x80\x05", "is a Python pickle", _PYTORCH),
    _kind(0, b"ftrt", "is an engine of TensorRT, which fits one version and GPU", _SOURCE),
    _kind(0, b"ptrt", "is an engine of TensorRT, which fits one version and GPU", _SOURCE),
    _kind(0, b"vtrt", "is an engine of TensorRT-RTX", _SOURCE),
    _kind(4, b"TFL3", "is a TensorFlow Lite model", _CONVERT),
    _kind(4, b"ORTM", "is a model in ONNX Runtime's own format (.ort)", _SOURCE),
    _kind(8, b'{"', "is a safetensors file: weights without a network", _EXPORT),
    _kind(0, b"GGUF", "is a GGUF file: weights without a network", _EXPORT),
    _kind(0, b"\x89HDF", "is an HDF5 file, as Keras saves them", _CONVERT),
    _kind(0, b"\x1f\x8b", "is compressed with gzip", _UNPACK),
    _kind(0, b"BZh", "is compressed with bzip2", _UNPACK),
    _kind(0, b"\xfd7zXZ", "is compressed with xz", _UNPACK),
    _kind(0, b"\x28\xb5\x2f\xfd", "is compressed with zstd", _UNPACK),
    _kind(257, b"ustar", "is a tar archive", _UNPACK),
    _kind(0, b"\x89PNG", "is an image", "name an ONNX file"),
    _kind(0, b"\xff\xd8\xff", "is an image", "name an ONNX file"),
    _kind(0, b"%PDF", "is a PDF", "name an ONNX file"),
    _kind(0, b"\x7fELF", "is a program or library", "name an ONNX file"),
)


def recognize_foreign_file(head: bytes) -> ForeignFile | None:
    """Return what a file is that starts with `head`, or None where that is not known.

    Args:
        head: Its first `HEAD_BYTES`, or all of it.
    """
    for at, magic, kind in _KINDS:
        if head[at : at + len(magic)] == magic:
            return kind
    start = head.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    if start.startswith((b"<!doctype", b"<html", b"<?xml", b"<head")):
        return ForeignFile(text="is a web page, not the file that it offers", remedy=_DOWNLOAD)
    if _TEXT.fullmatch(head):
        return ForeignFile(text="is a text", remedy="name an ONNX file")
    return None
