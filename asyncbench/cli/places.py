"""Where things are: the cache, and the program of a bench process."""

from __future__ import annotations

import os
from pathlib import Path

from asyncbench.child_program import child_command
from asyncbench.engine_cache.folder import EngineFolder

BENCH_COMMAND = child_command("asyncbench.cli.bench")


def cache_folder() -> Path:
    """Return where models and engines are kept: `$ASYNCBENCH_CACHE`, else the user's cache folder."""
    if named := os.environ.get("ASYNCBENCH_CACHE"):
        return Path(named)
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "asyncbench"


def engine_folder() -> EngineFolder:
    """Return the cache of built engines."""
    return EngineFolder(root=cache_folder() / "engines")
