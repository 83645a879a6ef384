"""Lines over a pipe under Trio."""

from __future__ import annotations

from collections.abc import AsyncGenerator

import trio

from asyncbench.errors import InternalError

# A message grows with what the user asks for: the forecasts of 100,000 cells are some 10 MB, a network may have
# thousands of inputs. What is far longer is not ours, and must not fill the memory of whoever reads it.
LINE_LIMIT_BYTES = 1 << 28
_CHUNK_BYTES = 1 << 16


async def read_lines(
    stream: trio.abc.ReceiveStream, *, limit_bytes: int = LINE_LIMIT_BYTES, cut: bool = False
) -> AsyncGenerator[bytes, None]:
    """Yield lines without their newline until the stream ends; a last line without newline is not yielded.

    Args:
        cut: Yield a line that is too long in pieces, instead of an error.

    Raises:
        InternalError: A line is longer than `limit_bytes`.
    """
    pieces: list[bytes] = []
    pending_bytes = 0
    while chunk := await stream.receive_some(_CHUNK_BYTES):
        first, *more = bytes(chunk).split(b"\n")
        pieces.append(first)
        pending_bytes += len(first)
        if more:
            yield b"".join(pieces)
            *whole, rest = more
            for line in whole:
                yield line
            pieces, pending_bytes = [rest], len(rest)
        if pending_bytes > limit_bytes:
            if not cut:
                raise InternalError(
                    f"a line of more than {limit_bytes} bytes came over a pipe", remedy="please report it"
                )
            yield b"".join(pieces)
            pieces, pending_bytes = [], 0
