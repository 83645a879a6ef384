"""Reading of an ONNX file without its weights: looking at a 2 GB network takes a few megabytes."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import BinaryIO

import onnx
from google.protobuf.message import DecodeError

from asyncbench.errors import BadInputError
from asyncbench.files.user_file import require_regular_file
from asyncbench.models.foreign_file import HEAD_BYTES, ForeignFile, recognize_foreign_file
from asyncbench.units import format_size

# Below it a tensor is kept: shapes and indices, which shape inference needs.
_KEPT_TENSOR_BYTES = 4096
# What no program that reads ONNX gets past: protobuf's own limits, of a file and of messages inside of each other.
_MAX_BYTES = (1 << 31) - 1
_DEEPEST = 100
# A graph of 100,000 nodes has some 250,000 fields. Without a limit a file of tiny ones would be read for hours.
_MAX_FIELDS = 500_000
# Of a field that is kept as it is, such as a node or a text.
_MAX_FIELD_BYTES = 256 << 20


class _Message(Enum):
    """The messages of onnx.proto on the way from the model to a tensor."""

    MODEL = "ModelProto"
    GRAPH = "GraphProto"
    NODE = "NodeProto"
    ATTRIBUTE = "AttributeProto"
    TENSOR = "TensorProto"
    SPARSE_TENSOR = "SparseTensorProto"
    FUNCTION = "FunctionProto"
    TRAINING = "TrainingInfoProto"


# Field numbers of onnx.proto; wire format: protobuf.dev/programming-guides/encoding.
_NESTED = {
    (_Message.MODEL, 7): _Message.GRAPH,
    (_Message.MODEL, 20): _Message.TRAINING,
    (_Message.MODEL, 25): _Message.FUNCTION,
    (_Message.TRAINING, 1): _Message.GRAPH,
    (_Message.TRAINING, 2): _Message.GRAPH,
    (_Message.FUNCTION, 7): _Message.NODE,
    (_Message.FUNCTION, 11): _Message.ATTRIBUTE,
    (_Message.GRAPH, 1): _Message.NODE,
    (_Message.GRAPH, 5): _Message.TENSOR,
    (_Message.GRAPH, 15): _Message.SPARSE_TENSOR,
    (_Message.NODE, 5): _Message.ATTRIBUTE,
    (_Message.ATTRIBUTE, 5): _Message.TENSOR,
    (_Message.ATTRIBUTE, 6): _Message.GRAPH,
    (_Message.ATTRIBUTE, 10): _Message.TENSOR,
    (_Message.ATTRIBUTE, 11): _Message.GRAPH,
    (_Message.ATTRIBUTE, 22): _Message.SPARSE_TENSOR,
    (_Message.ATTRIBUTE, 23): _Message.SPARSE_TENSOR,
    (_Message.SPARSE_TENSOR, 1): _Message.TENSOR,
    (_Message.SPARSE_TENSOR, 2): _Message.TENSOR,
}
# Of a model: what comes once. All but a few bytes of noise repeat one of them.
_ONCE = frozenset(range(1, 8))
_TENSOR_DATA_FIELDS = frozenset({4, 5, 6, 7, 9, 10, 11})
_CONTINUES = 0x80  # the bit of a varint's byte that says: another one follows
_VARINT, _FIXED_64, _LENGTH_DELIMITED, _FIXED_32 = 0, 1, 2, 5
_FIXED_BYTES = {_FIXED_64: 8, _FIXED_32: 4}
_TOO_DEEP = f"its messages, such as graphs in graphs, are nested more than {_DEEPEST} deep, which nobody reads"


def read_without_weights(path: Path) -> onnx.ModelProto:
    """Return the model with its names, shapes, nodes and small constants; large tensors keep all but their values.

    Raises:
        BadInputError: There is no such file, it is no file, or it is not an ONNX model.
    """
    require_regular_file(path, what="the model", remedy="name an ONNX file")
    model = onnx.ModelProto()
    try:
        with path.open("rb") as file:
            head = file.read(HEAD_BYTES)
            file.seek(0)
            size_bytes = path.stat().st_size
            try:
                model.ParseFromString(_Skim(file).message(size_bytes, _Message.MODEL))
            except (ValueError, DecodeError, RecursionError) as error:
                raise _not_onnx(path, f"{error}", recognize_foreign_file(head)) from error
    except OSError as error:
        raise BadInputError(f"cannot read the model {path} ({error.strerror})", remedy="name an ONNX file") from error
    if not model.graph.node:
        raise _not_onnx(path, "it has no graph" if size_bytes else "it is empty", recognize_foreign_file(head))
    if size_bytes > _MAX_BYTES:
        raise BadInputError(
            f"{path} is of {format_size(size_bytes)}, and no reader of ONNX takes files above 2 GiB",
            remedy="save it with its weights beside it (onnx.save_model with save_as_external_data=True)",
        )
    return model


def _not_onnx(path: Path, reason: str, kind: ForeignFile | None) -> BadInputError:
    if kind is not None:
        return BadInputError(f"{path} {kind.text}", remedy=kind.remedy)
    if "MaxDepth" in reason:
        reason = _TOO_DEEP
    return BadInputError(
        f"{path} is not an ONNX model or is cut off ({reason})", remedy="export or download it again, as .onnx"
    )


class _Skim:
    """Reader of the messages of one file, without the values of large tensors."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._fields_left = _MAX_FIELDS
        self._seen: set[int] = set()

    def message(self, size_bytes: int, message: _Message, *, depth: int = 1) -> bytes:
        """Return the next `size_bytes`, which are one message."""
        if depth > _DEEPEST:
            raise ValueError(_TOO_DEEP)
        file = self._file
        end = file.tell() + size_bytes
        kept = bytearray()
        while file.tell() < end:
            tag = _read_varint(file)
            field, wire_type = tag >> 3, tag & 7
            self._count(field, message)
            length = _payload_bytes(file, wire_type)
            if file.tell() + length > end:
                raise ValueError(f"a field of {length} B ends behind its {message.value}")
            if message is _Message.TENSOR and field in _TENSOR_DATA_FIELDS:
                file.seek(length, 1)
                continue
            nested = _NESTED.get((message, field)) if length > _KEPT_TENSOR_BYTES else None
            payload = self.message(length, nested, depth=depth + 1) if nested else self._payload(length)
            kept += _varint(tag) + (_varint(len(payload)) if wire_type == _LENGTH_DELIMITED else b"") + payload
        return bytes(kept)

    def _payload(self, length: int) -> bytes:
        if length > _MAX_FIELD_BYTES:
            raise ValueError(f"it has a field of {format_size(length)} that is no tensor")
        return self._file.read(length)

    def _count(self, field: int, message: _Message) -> None:
        if field == 0:
            raise ValueError("it has a field of the number 0")
        if message is _Message.MODEL and field in _ONCE:
            if field in self._seen:
                raise ValueError(f"it has field {field} twice")
            self._seen.add(field)
        self._fields_left -= 1
        if self._fields_left < 0:
            raise ValueError(f"it has more than {_MAX_FIELDS:,} fields")


def _payload_bytes(file: BinaryIO, wire_type: int) -> int:
    """Return how long the payload is that `file` stands before; a length prefix is consumed, a varint is not."""
    if wire_type == _LENGTH_DELIMITED:
        return _read_varint(file)
    if wire_type == _VARINT:
        start = file.tell()
        _read_varint(file)
        length = file.tell() - start
        file.seek(start)
        return length
    if wire_type not in _FIXED_BYTES:
        raise ValueError(f"wire type {wire_type}")
    return _FIXED_BYTES[wire_type]


def _read_varint(file: BinaryIO) -> int:
    value = 0
    for shift in range(0, 70, 7):
        byte = file.read(1)
        if not byte:
            raise ValueError("it ends within a field")
        value |= (byte[0] & ~_CONTINUES) << shift
        if not byte[0] & _CONTINUES:
            return value
    raise ValueError("a number longer than 64 bits")


def _varint(value: int) -> bytes:
    encoded = bytearray()
    while value >= _CONTINUES:
        encoded.append(value & 0x7F | _CONTINUES)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)
