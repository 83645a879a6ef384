"""Any error, whoever raised it, as one of ours: one line that says what happened and what to do."""

from __future__ import annotations

import errno
import sys
import traceback
from pathlib import Path

from asyncbench.error_group import first_own_error
from asyncbench.errors import (
    AsyncbenchError,
    BadInputError,
    DeviceLostError,
    DoesNotFitError,
    InternalError,
    LimitError,
    text_line,
)
from asyncbench.event_log import get_logger
from asyncbench.memory.host.process_limits import (
    address_space_limit_text,
    open_files_limit_text,
    speaks_of_memory,
    thread_limit_text,
)

if sys.version_info < (3, 11):
    from exceptiongroup import BaseExceptionGroup

_log = get_logger()

_PACKAGE = Path(__file__).parent
_FILE_REMEDIES = {
    errno.ENOENT: "check the path",
    errno.EACCES: "check its permissions",
    errno.EPERM: "check its permissions",
    errno.EROFS: "its disk is read-only: set ASYNCBENCH_CACHE or --output to another one",
    errno.ENOSPC: "its disk is full: make room, or set ASYNCBENCH_CACHE to a folder on another one",
    errno.EDQUOT: "your quota is used up: make room, or set ASYNCBENCH_CACHE to a folder on another disk",
}
# CPython's RuntimeError, and what the native library says of std::system_error, which pthread_create leads to.
_NO_THREAD = ("can't start new thread", "Resource temporarily unavailable")


def own_error_of(error: BaseException) -> AsyncbenchError:
    """Return an error as one of ours: our own out of its group, what the system refused, or an internal error."""
    return own_or_system_error(error) or _internal(innermost(error))


def own_or_system_error(error: BaseException) -> AsyncbenchError | None:
    """Return our own error, or what the system refused or did not find; None where it is a mistake of ours."""
    if isinstance(error, AsyncbenchError):
        return error
    if isinstance(error, BaseExceptionGroup) and (own := first_own_error(error)) is not None:
        return own
    return _system_error(innermost(error))


def leaves_unfit(error: AsyncbenchError) -> bool:
    """Return whether the process that it happened in is to be replaced: its state is in doubt."""
    return isinstance(error, DeviceLostError | InternalError)


def log_error(event: str, error: Exception, **facts: object) -> AsyncbenchError:
    """Log an error under the name `event`, and return it as one of ours.

    The traceback is logged of foreign ones only: ours says in its one line what there is to say.
    """
    own = own_error_of(error)
    traceback_of = None if isinstance(error, AsyncbenchError) else error
    _log.warning(event, error=type(own).__name__, message=own.message, exc_info=traceback_of, **facts)
    return own


def innermost(error: BaseException) -> BaseException:
    """Return the first error inside all groups."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def _system_error(error: BaseException) -> AsyncbenchError | None:
    # Onnxruntime's own errors have no base class: what they are is in the text.
    if isinstance(error, MemoryError) or speaks_of_memory(str(error)):
        limit = address_space_limit_text()
        why = "; ".join(filter(None, (text_line(error), limit)))
        return DoesNotFitError(
            f"host memory was refused{f': {why}' if why else ''}",
            remedy="lower --batch or --concurrency, or free memory",
        )
    if isinstance(error, OSError):
        return _file_error(error)
    if isinstance(error, RuntimeError) and any(text in str(error) for text in _NO_THREAD):
        return LimitError(
            f"one more thread was refused: {thread_limit_text()}", remedy="lower --concurrency, or raise that limit"
        )
    return None


def _file_error(error: OSError) -> AsyncbenchError | None:
    if error.errno in (errno.EMFILE, errno.ENFILE):
        limit = open_files_limit_text() if error.errno == errno.EMFILE else "of the whole machine"
        return LimitError(f"too many open files ({limit})", remedy="raise the limit, such as by ulimit -n 1024")
    if error.errno == errno.ENOMEM:
        return DoesNotFitError(f"host memory was refused: {text_line(error)}", remedy="free memory, or lower --batch")
    if error.errno == errno.EAGAIN:  # of fork and clone; no file of ours is non-blocking outside of Trio
        return LimitError(
            f"one more process was refused: {thread_limit_text()}", remedy="end other processes, or raise that limit"
        )
    if error.filename is None:
        return None
    names = [str(name) for name in (error.filename, error.filename2) if name is not None]
    remedy = _FILE_REMEDIES.get(error.errno or 0, "name another one")
    return BadInputError(f"{' -> '.join(names)}: {error.strerror or error}", remedy=remedy)


def _internal(error: BaseException) -> InternalError:
    text = text_line(error)
    return InternalError(
        f"an internal error: {type(error).__name__}{f': {text}' if text else ''}{_place(error)}",
        remedy="please report it, with the traceback that --log FILE or --verbose shows",
        error=type(error).__name__,
    )


def _place(error: BaseException) -> str:
    """Return the innermost line of ours that the error went through."""
    frames = [
        frame for frame in traceback.extract_tb(error.__traceback__) if Path(frame.filename).is_relative_to(_PACKAGE)
    ]
    if not frames:
        return ""
    return f" ({Path(frames[-1].filename).relative_to(_PACKAGE.parent)}:{frames[-1].lineno})"
