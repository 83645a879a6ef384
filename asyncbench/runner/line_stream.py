"""Lines over a pipe under Trio, bounded in length."""

from __future__ import annotations

from collections.abc import AsyncGenerator

import trio

# A cell record is a few kB; a config a few more. What is longer is not ours.
LINE_LIMIT_BYTES = 1 << 20
_CHUNK_BYTES = 1 << 16


async def read_lines(stream: trio.abc.ReceiveStream) -> AsyncGenerator[bytes, None]:
    """Yield lines without their newline until the stream ends; a last line without newline is not yielded.

    Raises:
        ValueError: A line is longer than `LINE_LIMIT_BYTES`.
    """
    pending = bytearray()
    while chunk := await stream.receive_some(_CHUNK_BYTES):
        pending += chunk
        *lines, rest = pending.split(b"\n")
        for line in lines:
            yield bytes(line)
        if len(rest) > LINE_LIMIT_BYTES:
            raise ValueError(f"a line of more than {LINE_LIMIT_BYTES} bytes")
        pending = rest
