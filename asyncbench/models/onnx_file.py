"""Reads an ONNX file without its weights, so that looking at a 2 GB network takes a few megabytes."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import BinaryIO

import onnx
from google.protobuf.message import DecodeError

from asyncbench.errors import BadInputError

# Below it a tensor is kept: shapes and indices, which shape inference needs.
_KEPT_TENSOR_BYTES = 4096


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
_TENSOR_DATA_FIELDS = frozenset({4, 5, 6, 7, 9, 10, 11})
_CONTINUES = 0x80  # the bit of a varint's byte that says: another one follows
_VARINT, _FIXED_64, _LENGTH_DELIMITED, _FIXED_32 = 0, 1, 2, 5
_FIXED_BYTES = {_FIXED_64: 8, _FIXED_32: 4}


def read_without_weights(path: Path) -> onnx.ModelProto:
    """Return the model with its names, shapes, nodes and small constants; large tensors keep all but their values.

    Raises:
        BadInputError: There is no such file, or it is not an ONNX model.
    """
    model = onnx.ModelProto()
    try:
        with path.open("rb") as file:
            model.ParseFromString(_skim(file, path.stat().st_size, _Message.MODEL))
    except OSError as error:
        raise BadInputError(f"cannot read the model {path} ({error.strerror})", remedy="name an ONNX file") from error
    except (ValueError, DecodeError) as error:
        raise _not_onnx(path, f"{error}") from error
    if not model.graph.node:
        raise _not_onnx(path, "it has no graph")
    return model


def _not_onnx(path: Path, reason: str) -> BadInputError:
    return BadInputError(
        f"{path} is not an ONNX model or is cut off ({reason})", remedy="export or download it again, as .onnx"
    )


def _skim(file: BinaryIO, size_bytes: int, message: _Message) -> bytes:
    """Return the next `size_bytes` of `file`, which are one message, without the values of large tensors."""
    end = file.tell() + size_bytes
    kept = bytearray()
    while file.tell() < end:
        tag = _read_varint(file)
        field, wire_type = tag >> 3, tag & 7
        length = _payload_bytes(file, wire_type)
        if file.tell() + length > end:
            raise ValueError(f"a field of {length} B ends behind its {message.value}")
        if message is _Message.TENSOR and field in _TENSOR_DATA_FIELDS:
            file.seek(length, 1)
            continue
        nested = _NESTED.get((message, field)) if length > _KEPT_TENSOR_BYTES else None
        payload = _skim(file, length, nested) if nested else file.read(length)
        kept += _varint(tag) + (_varint(len(payload)) if wire_type == _LENGTH_DELIMITED else b"") + payload
    return bytes(kept)


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
