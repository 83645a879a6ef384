"""Records on stdout, for a pipe into another program."""

from __future__ import annotations

from asyncbench.errors import OutputError
from asyncbench.results.lines import encode_line, write_line
from asyncbench.results.record import Record

STDOUT_FD = 1


class StdoutResults:
    """Records on a stream that is not ours to sync, lock or close. A call blocks while the reader is slow."""

    def __init__(self, *, fd: int = STDOUT_FD) -> None:
        self._fd = fd

    def append(self, record: Record) -> None:
        """Write the record as one line.

        Raises:
            OutputError: Nobody reads any more, or there is no room where it is redirected to.
        """
        # Past sys.stdout, whose buffer would hold lines back and fail once more at exit.
        line = encode_line(record)
        try:
            write_line(self._fd, line)
        except BrokenPipeError as error:
            remedy = "let it read to the end, or write to a file with --output FILE"
            raise OutputError("stdout: the program that read the records has ended", remedy=remedy) from error
        except OSError as error:
            raise OutputError(f"stdout: {error.strerror}", remedy="give --output a file", errno=error.errno) from error

    def close(self) -> None:
        """Do nothing: stdout stays open for whoever owns it."""
