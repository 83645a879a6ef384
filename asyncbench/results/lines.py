"""Encoding of one record as one line, and decoding."""

from __future__ import annotations

import os
import select
from typing import Final

from pydantic import BaseModel, ConfigDict, ValidationError

from asyncbench.errors import OutputError
from asyncbench.results.record import SCHEMA_VERSION, Record, record_adapter

MAX_LINE_BYTES: Final = 2**20


class _Envelope(BaseModel):
    """Keys that every version of the format has: enough to refuse another version by name."""

    model_config = ConfigDict(strict=True)

    kind: str
    schema_version: int
    sweep_id: str


class BadLineError(Exception):
    """A line that is no record of this version. The text says why, without file and line number."""


class NotJsonError(BadLineError):
    """The line is no JSON at all: cut short, or of another program."""


class OtherVersionError(BadLineError):
    """The line is of another version of the format."""


def encode_line(record: Record) -> bytes:
    """Return the record as JSON with its newline: keys in the order of the types, nulls written out.

    Raises:
        OutputError: The line is longer than readers accept.
    """
    line = record.model_dump_json().encode() + b"\n"
    if len(line) > MAX_LINE_BYTES:
        raise OutputError(
            f"a {record.kind} record of {len(line)} B is longer than a line may be ({MAX_LINE_BYTES} B)",
            remedy="split the task list",
            line_bytes=len(line),
        )
    return line


def write_line(fd: int, line: bytes) -> None:
    """Write the whole line: in one call, unless the pipe or the disk takes only a part of it.

    Raises:
        OSError: It is not written whole; a part of it may be.
    """
    while line:
        try:
            line = line[os.write(fd, line) :]
        except BlockingIOError:  # a stream that whoever shares it made so: wait until it takes more
            poll = select.poll()
            poll.register(fd, select.POLLOUT)
            poll.poll()


def decode_line(line: bytes) -> Record:
    """Return the record of a line, with or without its newline. Unknown keys are dropped.

    Raises:
        NotJsonError: It is no JSON.
        OtherVersionError: It is of another version of the format.
        BadLineError: It is JSON, but no record.
    """
    try:
        envelope = _Envelope.model_validate_json(line)
        if envelope.schema_version != SCHEMA_VERSION:
            raise OtherVersionError(f"schema version {envelope.schema_version}, this program reads {SCHEMA_VERSION}")
        return record_adapter.validate_json(line, strict=True)
    except ValidationError as error:
        raise _explain(error) from error


def _explain(error: ValidationError) -> BadLineError:
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    if first["type"] == "json_invalid":
        return NotJsonError("not JSON")
    where = ".".join(str(part) for part in first["loc"])
    return BadLineError(f"{where}: {first['msg']}" if where else first["msg"])
