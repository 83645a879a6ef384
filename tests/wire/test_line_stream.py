"""Lines over a pipe, however long and however they arrive."""

from contextlib import aclosing
from itertools import pairwise

import pytest
import trio
import trio.testing
from hypothesis import given
from hypothesis import strategies as st

from asyncbench.errors import InternalError
from asyncbench.wire.line_stream import read_lines


async def lines_of(chunks, **arguments):
    send, receive = trio.testing.memory_stream_one_way_pair()  # takes any amount without being read
    for chunk in chunks:
        await send.send_all(chunk)
    await send.aclose()
    async with aclosing(read_lines(receive, **arguments)) as lines:
        return [line async for line in lines]


@given(text=st.binary(max_size=200), cuts=st.lists(st.integers(0, 200), max_size=5))
def test_lines_are_the_same_however_they_were_cut_into_chunks(text, cuts):
    edges = sorted({0, len(text), *(min(cut, len(text)) for cut in cuts)})
    chunks = [text[start:end] for start, end in pairwise(edges)]

    lines = trio.run(lines_of, chunks)

    assert lines == text.split(b"\n")[:-1]


async def test_a_line_of_many_megabytes_arrives_whole():
    line = b"x" * (20 << 20)

    assert await lines_of([line, b"\nshort\n"]) == [line, b"short"]


async def test_a_line_without_an_end_is_an_error_of_ours_and_no_exhausted_memory():
    with pytest.raises(InternalError, match="more than 10 bytes"):
        await lines_of([b"x" * 11], limit_bytes=10)


async def test_of_what_people_read_a_long_line_comes_in_pieces():
    line = b"x" * (1 << 20)

    pieces = await lines_of([line, b"\n"], limit_bytes=1 << 17, cut=True)

    assert b"".join(pieces) == line
    assert max(map(len, pieces)) <= 1 << 18
