"""`python -m asyncbench.stress.build_child`: builds an engine as a sweep does, and says how each try ended.

It asks before it tries again: it waits for a line on stdin.
"""

from __future__ import annotations

import json
import sys
from functools import partial
from pathlib import Path

import structlog
import trio

from asyncbench.backends.tensorrt.build.builder import build_engine
from asyncbench.backends.tensorrt.build.engine_choice import choose_engines
from asyncbench.backends.tensorrt.build.memory import build_within_memory, workspaces_to_try
from asyncbench.backends.tensorrt.build.messages import BuildRequest, BuildSettings
from asyncbench.errors import AsyncbenchError
from asyncbench.sweep.backends.tensorrt import EngineMode
from asyncbench.sweep.cell import Precision

# The only TensorRT whose builder works without a GPU, for one that is not there.
MODULE = "tensorrt_rtx_bindings"
_ADA = (8, 9)


def main() -> None:
    """Build the network of the first argument into the file of the second; the third is the first workspace."""
    structlog.configure(logger_factory=structlog.WriteLoggerFactory(file=sys.stderr))
    trio.run(_build, Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]))


async def _build(network: Path, engine: Path, workspace_bytes: int) -> None:
    request = BuildRequest(
        module_name=MODULE,
        model_path=str(network),
        engine_path=str(engine),
        precision=Precision.FP32,
        shape=choose_engines((1, 4), EngineMode.DYNAMIC)[0],
        settings=BuildSettings(workspace_bytes=None),
        compute_capability=_ADA,
    )
    build = partial(build_engine, on_progress=lambda _: None)
    try:
        facts = await build_within_memory(
            request, workspaces_to_try(workspace_bytes), label="mobilenet", build=build, report=_report
        )
    except AsyncbenchError as error:
        _write_event(end="refused", text=str(error), tries=int(error.facts.get("build_tries") or 1))
    else:
        _write_event(end="built", text="", tries=len(facts.tries))


def _report(text: str) -> None:
    _write_event(end="", text=text, tries=0)
    sys.stdin.readline()


def _write_event(**what: str | int) -> None:
    sys.stdout.write(json.dumps(what) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
