"""What a program of ours said last."""

import subprocess
import sys

import pytest

from asyncbench.child_program import last_stderr_line

IN_NURSERIES = """
import trio

async def fail():
    raise KeyError("inputs")

async def main():
    async with trio.open_nursery() as outer:
        async with trio.open_nursery() as inner:
            inner.start_soon(fail)

trio.run(main)
"""


def said(program):
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    return done.stderr.splitlines()


def test_of_nested_groups_it_is_the_innermost_error():
    lines = said(IN_NURSERIES)

    assert lines[-1].strip().strip("+-") == ""
    assert last_stderr_line(lines) == "KeyError: 'inputs'"


def test_of_a_plain_traceback_it_is_the_error():
    assert last_stderr_line(said("import asyncio; asyncio.nothing")).startswith("AttributeError: module 'asyncio'")


def test_of_an_error_of_several_lines_it_is_the_first_of_them():
    assert last_stderr_line(said("raise ValueError('first\\n  second')")) == "ValueError: first"


def test_of_the_end_of_a_traceback_alone_it_is_still_the_error():
    assert last_stderr_line(said(IN_NURSERIES)[-3:]) == "KeyError: 'inputs'"


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (["terminate called after throwing", "  what():  std::bad_alloc"], "what():  std::bad_alloc"),
        (["Killed", "", "   "], "Killed"),
        (["one", "+----------"], "one"),
        (["-1 is no device"], "-1 is no device"),
        ([], ""),
    ],
)
def test_of_what_is_no_traceback_it_is_the_last_line_with_anything_on_it(lines, words):
    assert last_stderr_line(lines) == words
