"""Start of a command, before anything large is imported: closed standard descriptors, and signals that end it.

Little is imported here: until it is done, a signal ends the process as if it were any program.
"""

from __future__ import annotations

import errno
import os
import signal
import sys
from types import FrameType
from typing import NoReturn

from asyncbench.errors import ExitCode, named_line
from asyncbench.memory.host.process_limits import speaks_of_memory

_ALWAYS_TAKEN = (signal.SIGINT, signal.SIGTERM)
_TAKEN_UNLESS_IGNORED = (signal.SIGHUP, signal.SIGQUIT)
"""`nohup` ignores the first, a shell both of what it starts in the background: that must stay so."""


def occupy_closed_descriptors() -> None:
    """Put something onto descriptors 0 to 2 where they are closed, so that no file that is opened later gets them.

    A results file opened as descriptor 2 would get whatever a library says to stderr. They are opened for the wrong
    direction, as the C library does for privileged programs: reading and writing fail as on a closed one.
    """
    for fd in range(3):
        try:
            os.fstat(fd)
        except OSError:
            # The lowest free number, which is this one.
            opened = os.open(os.devnull, os.O_WRONLY if fd == 0 else os.O_RDONLY)
            os.set_inheritable(opened, True)


def ending_signals() -> tuple[signal.Signals, ...]:
    """Return the signals that end a command in an orderly way, without those that were ignored when it started."""
    wanted = (number for number in _TAKEN_UNLESS_IGNORED if signal.getsignal(number) is not signal.SIG_IGN)
    return (*_ALWAYS_TAKEN, *wanted)


def exit_on_signals() -> None:
    """End at once while the imports last: nothing was begun, and an exception out of an import may get lost.

    A process that only imports the commands, such as a test, keeps its own handlers.
    """
    if sys.argv[0].endswith(("/asyncbench", "/asyncbench/__main__.py")):
        _handle_with(_exit_now)


def take_signals_as_ctrl_c() -> None:
    """Have every ending signal do what Ctrl-C does, for commands that handle none themselves."""
    _handle_with(_act_as_ctrl_c)
    if signal.getsignal(signal.SIGINT) is _act_as_ctrl_c:
        signal.signal(
            signal.SIGINT, signal.default_int_handler
        )  # the one that Trio knows, and puts its own in place of


def leave_signals_to_supervisor() -> None:
    """Let them pass by in a bench process, which gets its orders through its pipe.

    Whoever stops a service or a batch job sends them to all of its processes at once. Not ignored: what is started
    from here would inherit that.
    """
    _handle_with(_do_nothing)


def ignore_signals() -> None:
    """Let no signal change the exit code any more."""
    for number in ending_signals():
        signal.signal(number, signal.SIG_IGN)


def why_not_started(error: Exception) -> str | None:
    """Return what keeps the program itself from being loaded, in one line; None where that is a fault of ours."""
    text = named_line(error)
    if speaks_of_memory(text):
        return f"there is no memory to start in ({text}): raise ulimit -v, or free memory"
    if isinstance(error, OSError) or os.strerror(errno.EMFILE) in text:
        return f"it cannot be loaded ({text}): raise ulimit -n, or check the installation"
    return None


def _handle_with(handler: signal._HANDLER) -> None:
    for number in ending_signals():
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, handler)


def _exit_now(_number: int, _frame: FrameType | None) -> NoReturn:
    os._exit(ExitCode.INTERRUPTED)


def _do_nothing(_number: int, _frame: FrameType | None) -> None:
    """See leave_signals_to_supervisor."""


def _act_as_ctrl_c(_number: int, frame: FrameType | None) -> None:
    handler = signal.getsignal(signal.SIGINT)
    if not callable(handler):
        raise KeyboardInterrupt
    handler(signal.SIGINT, frame)
