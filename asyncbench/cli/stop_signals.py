"""The signals that end a command, received under Trio."""

from __future__ import annotations

import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from types import FrameType

import trio

from asyncbench.cli.process_start import ending_signals


@contextmanager
def open_stop_signals() -> Iterator[AsyncIterator[int]]:
    """Yield the signals as they come. Those that come after the end do nothing more in this process."""
    # What the receiver puts back when it ends, and hands late signals to. Not SIG_IGN, which children would inherit.
    numbers = ending_signals()
    for number in numbers:
        signal.signal(number, _do_nothing)
    with trio.open_signal_receiver(*numbers) as signals:
        yield signals


def _do_nothing(_number: int, _frame: FrameType | None) -> None:
    """Take a signal that comes when all is over: it must not change what the shell is told."""
