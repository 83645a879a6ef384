"""Start of another program of ours from one of ours, and the last line that it wrote to stderr.

Only files of the installation are executed.

`python -m` and `python -c` look for modules in the current folder first. That is the user's folder: a `random.py` there
would break us, or run as whoever measures. `-P` and `PYTHONSAFEPATH` begin with Python 3.11, and `-I` takes the user's
PYTHONPATH away; taking the folder off the path before the first import does the same on every version.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

# The empty entry is the current folder. Ours comes last, for an asyncbench that is run without being installed. `sys`
# is built in: importing it reads no file.
_START: Final = (
    "import sys; "
    "sys.path[:] = [*filter(None, sys.path)]; "
    "root, module = sys.argv[1:3]; "
    "root in sys.path or sys.path.append(root); "
    "del sys.argv[:2]; "
    "import runpy; "
    "runpy.run_module(module, run_name='__main__', alter_sys=True)"
)
_ROOT: Final = str(Path(__file__).resolve().parent.parent)
_PATH_NAME: Final = "PYTHONPATH"

# What stands before the lines of an exception group's traceback: `  |   File`, `    +------`, `  +-+---- 1 ----`.
_BORDER: Final = re.compile(r"^\s*[+|](?:[-+]*(?: \d+ -+)?$| ?)")
_ERROR_LINE: Final = re.compile(r"^[A-Za-z_][\w.]*(?:$|: )")


def child_command(module: str, *arguments: str) -> tuple[str, ...]:
    """Return the command that runs a module of ours as a program, in place of `python -m module`."""
    return (sys.executable, "-c", _START, _ROOT, module, *arguments)


def child_environment(**more: str) -> dict[str, str]:
    """Return our environment for a Python program, without what makes the current folder part of its path by accident.

    An empty entry of PYTHONPATH is the current folder: `PYTHONPATH=$PYTHONPATH:/more` makes one. A folder that is named
    is the user's own will, `.` included.
    """
    environment = {**os.environ, **more}
    folders = [folder for folder in environment.pop(_PATH_NAME, "").split(os.pathsep) if folder]
    return {**environment, _PATH_NAME: os.pathsep.join(folders)} if folders else environment


def last_stderr_line(stderr_lines: Sequence[str]) -> str:
    """Return the line that says why a program died: of a traceback the innermost error, otherwise the last line."""
    lines = [line for text in stderr_lines if (line := _BORDER.sub("", text).rstrip()).strip()]
    if any(line.startswith("Traceback ") for line in lines):
        lines = [line for line in lines if _ERROR_LINE.match(line)] or lines
    return lines[-1].strip() if lines else ""
