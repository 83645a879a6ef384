"""A program that has imported the command line, and forks for every command: `conftest.Forks` asks it.

To start Python and import the command line takes ten times as long as most of the commands that are tested.
"""

import json
import os
import socket
import sys

from asyncbench.cli.main import main

REQUEST_BYTES = 1 << 17  # a packet of a local socket has a limit near twice that
CONNECTION_FD = 0


def serve(connection):
    """Answer each request with the process id, and then with the exit code. Returns in the forks alone."""
    while True:
        request, fds, _, _ = socket.recv_fds(connection, REQUEST_BYTES, 2)
        if not request:
            os._exit(0)
        pid = os.fork()
        if pid == 0:
            become(json.loads(request), *fds)
            return
        for fd in fds:
            os.close(fd)
        connection.send(b"%d" % pid)
        _, status = os.waitpid(pid, 0)
        connection.send(b"%d" % os.waitstatus_to_exitcode(status))


def become(request, stdout, stderr):
    """Make this process what the request asks for. The socket gives way to the null device as stdin."""
    null = os.open(os.devnull, os.O_RDONLY)
    for fd, place in ((null, 0), (stdout, 1), (stderr, 2)):
        os.dup2(fd, place)
        os.close(fd)
    os.chdir(request["folder"])
    os.environ.clear()
    os.environ.update(request["environment"])
    sys.argv = request["command"]


if __name__ == "__main__":
    with socket.socket(fileno=os.dup(CONNECTION_FD)) as connection:
        serve(connection)
    main()
