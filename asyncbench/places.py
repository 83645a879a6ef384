"""The places of the installation: the cache folder, and the program of a bench process."""

from __future__ import annotations

import os
import stat
import tempfile
from pathlib import Path

from asyncbench.child_program import child_command
from asyncbench.errors import BadInputError

BENCH_COMMAND = child_command("asyncbench.bench.main")


def cache_folder() -> Path:
    """Return where models and engines are kept: `$ASYNCBENCH_CACHE`, else the user's cache folder.

    A user without a home (`docker run --user`) has a folder of its own among the temporary ones.

    Raises:
        BadInputError: That folder is somebody else's.
    """
    if named := os.environ.get("ASYNCBENCH_CACHE"):
        return Path(named)
    if base := os.environ.get("XDG_CACHE_HOME"):
        return Path(base) / "asyncbench"
    try:
        home = Path.home()
    except RuntimeError:  # neither HOME nor an entry in the list of users
        return _temporary_cache()
    return home / ".cache" / "asyncbench"


def _temporary_cache() -> Path:
    """Return a folder that only this user can write to; whoever else could would choose the engines that are run.

    Raises:
        BadInputError: It cannot be made, or is not the user's own.
    """
    folder = Path(tempfile.gettempdir()) / f"asyncbench-{os.geteuid()}"
    remedy = "set ASYNCBENCH_CACHE to a folder of yours"
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        found = folder.lstat()
    except OSError as error:
        raise BadInputError(f"no cache: {folder}: {error.strerror}", remedy=remedy) from error
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or found.st_mode & 0o022:
        raise BadInputError(f"no cache: {folder} is not a folder that only you can write to", remedy=remedy)
    return folder
