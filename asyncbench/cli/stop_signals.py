"""The signals that end a command, received under Trio."""

from __future__ import annotations

import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TypeVar

import trio

from asyncbench.process_start import ending_signals

T = TypeVar("T")


@contextmanager
def open_stop_signals() -> Iterator[AsyncIterator[int]]:
    """Yield the signals as they come. Those that come after the end do nothing more in this process."""
    # What the receiver puts back when it ends, and hands late signals to. Not SIG_IGN, which children would inherit.
    numbers = ending_signals()
    for number in numbers:
        signal.signal(number, _do_nothing)
    with trio.open_signal_receiver(*numbers) as signals:
        yield signals


async def until_signal(work: Callable[[], Awaitable[T]]) -> T | None:
    """Return what `work` returns, or None where a signal came first. By the end all that it started is gone."""
    done: T | None = None
    with open_stop_signals() as signals:
        async with trio.open_nursery() as nursery:

            async def stop_on_signal() -> None:
                await anext(signals)
                nursery.cancel_scope.cancel()

            nursery.start_soon(stop_on_signal)
            done = await work()
            nursery.cancel_scope.cancel()
    return done


def _do_nothing(_number: int, _frame: FrameType | None) -> None:
    """Take a signal that comes when all is over: it must not change the exit code."""
