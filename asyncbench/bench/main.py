"""`python -m asyncbench.bench.main`: the bench process. The supervisor starts it; people do not."""

from __future__ import annotations

import os
import sys
from contextlib import closing, suppress

import structlog
import trio

from asyncbench.bench.compose import make_backend, make_reference
from asyncbench.bench.server import BenchServer
from asyncbench.conditions.probes import installed_probes
from asyncbench.error_translation import own_error_of
from asyncbench.errors import ExitCode
from asyncbench.memory.host.oom import prefer_to_be_killed
from asyncbench.memory.host.probe import HostMemory
from asyncbench.places import cache_folder
from asyncbench.process_start import leave_signals_to_supervisor
from asyncbench.wire.messages import refusal_of, to_line

STDIN_FD, STDOUT_FD, STDERR_FD = 0, 1, 2
# Below the 1000 of an engine builder, which is the larger of the two while both are there.
BENCH_OOM_SCORE = 900


def main() -> int:
    """Serve requests from stdin until it closes."""
    leave_signals_to_supervisor()
    _log_to_stderr()
    # Native libraries print to stdout as they like. The events' pipe gets a number of its own, and what is printed
    # goes to stderr, so that no library can spoil an event.
    events_fd = os.dup(STDOUT_FD)
    os.dup2(STDERR_FD, STDOUT_FD)
    try:
        with closing(HostMemory()) as host_memory:
            trio.run(_serve, events_fd, host_memory)
    except Exception as error:  # noqa: BLE001 # nobody is left to raise it to: the supervisor is told in one line
        known = own_error_of(error)
        structlog.get_logger().error("bench.failed", message=known.message, exc_info=error)
        with suppress(OSError):  # the supervisor is gone
            os.write(events_fd, to_line(refusal_of(known)))
        return known.exit_code
    return ExitCode.OK


async def _serve(events_fd: int, host_memory: HostMemory) -> None:
    async with (
        trio.lowlevel.FdStream(events_fd) as events,
        trio.lowlevel.FdStream(os.dup(STDIN_FD)) as requests,
    ):
        # When memory ends the kernel shall choose this process, and leave the supervisor and its records alone.
        prefer_to_be_killed(BENCH_OOM_SCORE)
        bench = BenchServer(
            make_backend=make_backend,
            make_reference=make_reference,
            model_folder=cache_folder() / "models",
            events=events,
            read_host=host_memory.read,
            find_probes=installed_probes,
        )
        await bench.serve(requests)


def _log_to_stderr() -> None:
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(default=str),
        ],
        logger_factory=structlog.WriteLoggerFactory(file=sys.stderr),
    )


if __name__ == "__main__":
    sys.exit(main())
