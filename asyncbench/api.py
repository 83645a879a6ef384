"""The library: sweeps from a program. `import asyncbench` re-exports it; docs/library.md shows it at work.

Errors are asyncbench's own. Nothing is printed, no signal is handled, and logging stays as the program has set it up.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, suppress
from typing import TypeAlias

import trio

from asyncbench.errors import BadInputError, InternalError
from asyncbench.files.user_file import path_of, require_regular_file
from asyncbench.results.reader import read_results
from asyncbench.results.sweep_results import SweepResults
from asyncbench.supervisor.events import Subscriber
from asyncbench.supervisor.output import STDOUT, Output
from asyncbench.supervisor.running_sweep import OutputName, RunningSweep, SweepContext
from asyncbench.sweep.config import SweepConfig
from asyncbench.sweep.loading import read_arguments
from asyncbench.sweep.problems import shown

Axis: TypeAlias = "int | str | Sequence[int]"
Texts: TypeAlias = "str | Sequence[str]"
File: TypeAlias = "str | os.PathLike[str]"

_NAME_RESULTS = "name a results file of asyncbench"
_REMEDY = "write asyncbench.Sweep(model=..., concurrency=..., batch=...)"


class Sweep:
    """A sweep that is to be run: one network over a grid. The keys are those of a configuration file.

    What is left out has the default of the command line. Named here are the keys that most sweeps have; all others
    (`asyncbench schema config` lists them) are taken as well, and checked the same. Options of a backend may be given
    as its flags are, `depth=4`, or in its section, `tensorrt={"depth": 4}`.

    Args:
        model: A built-in network, such as `resnet50`.
        model_file: An ONNX file: any network, or weights for `model`.
        concurrency: Inferences in flight: `4`, `[1, 2, 4]` or `"1..64:x2"`.
        batch: Items of one inference, written like `concurrency`.
        precision: `fp32`, `fp16`, `bf16`, `int8`, `fp8`; one or several.
        backend: `auto`, `onnxruntime`, `tensorrt` or `simulated`.
        device: `auto`, `cpu`, `cuda:0`; one or several.
        duration: Measure every cell for this long, such as `10s`.
        iterations: Measure this many inferences per cell.
        latency_limit: What `best_under_latency_limit` of the trailer must stay below, such as `p99=20ms`.
        more: Any other key of a configuration.

    Attributes:
        config: The same, checked.

    Raises:
        BadInputError: A key is unknown, a value has the wrong type or cannot be used, or two contradict each other.
    """

    def __init__(
        self,
        *,
        model: str | None = None,
        model_file: File | None = None,
        concurrency: Axis | None = None,
        batch: Axis | None = None,
        precision: Texts | None = None,
        backend: str | None = None,
        device: Texts | None = None,
        duration: str | None = None,
        iterations: int | None = None,
        latency_limit: str | None = None,
        **more: object,
    ) -> None:
        named = {
            "model": model,
            "model_file": model_file,
            "concurrency": concurrency,
            "batch": batch,
            "precision": precision,
            "backend": backend,
            "device": device,
            "duration": duration,
            "iterations": iterations,
            "latency_limit": latency_limit,
        }
        given = {key: value for key, value in {**named, **more}.items() if value is not None}
        self.config: SweepConfig = read_arguments(given, source="Sweep")

    def __repr__(self) -> str:
        given = self.config.model_dump(mode="json", exclude_unset=True)
        return f"Sweep({', '.join(f'{key}={value!r}' for key, value in given.items())})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sweep) and self.config == other.config

    def __hash__(self) -> int:
        return hash(repr(self))


def open_sweep(
    sweep: Sweep | Sequence[Sweep],
    *,
    output: OutputName = None,
    resume: bool = False,
    subscribers: Sequence[Subscriber] = (),
) -> AbstractAsyncContextManager[RunningSweep]:
    """Run a sweep, or several as one, while the context is open; iterate over it for the records. Under Trio.

    Leaving before the last record, by an error or cancelled as well, drains what is in flight, records the running cell
    as interrupted, writes the trailer and waits until the bench process is gone.

    Args:
        output: A new file for the records, or `-` for stdout; None keeps them in memory.
        resume: Go on with the file `output`: what it has is not measured again.
        subscribers: Are called with every event (`asyncbench.supervisor.events`) on the Trio thread; must not block.

    Raises:
        BadInputError: The sweep or the output cannot be used. Nothing was written.
        AsyncbenchError: The first engine was refused; raised where the records are waited for. Nothing was written.
        OutputError: The records cannot be written any more; as above. What was written is whole.
    """
    return open_configs(
        _configs(sweep),
        output=_output(output, resume=resume),
        resume=resume,
        subscribers=_subscribers(subscribers),
    )


def open_configs(
    configs: Sequence[SweepConfig],
    *,
    typed_keys: frozenset[str] | None = None,
    output: Output | OutputName = None,
    resume: bool = False,
    subscribers: Sequence[Subscriber] = (),
    are_settled: bool = False,
) -> AbstractAsyncContextManager[RunningSweep]:
    """Run sweeps given as configurations; see `open_sweep`. For the command line.

    Args:
        typed_keys: The keys that somebody typed, in place of all that are set: of a file's keys those that do nothing
            on the backend are reported and not refused.
        output: As in `open_sweep`, or one that is open already.
        are_settled: Whether defaults that the networks decide are settled.
    """
    all_set = frozenset(key for config in configs for key in config.given_keys())
    return SweepContext(
        configs,
        typed_keys=all_set if typed_keys is None else typed_keys,
        output=output,
        resume=resume,
        subscribers=subscribers,
        are_settled=are_settled,
    )


def run(
    sweep: Sweep | Sequence[Sweep],
    *,
    output: OutputName = None,
    resume: bool = False,
    subscribers: Sequence[Subscriber] = (),
) -> SweepResults:
    """Run a sweep to its end and return its results. Blocks the calling thread; the sweep has a thread of its own.

    So it works in a script, in a notebook and inside any event loop, which stands still meanwhile. Ctrl-C ends the
    sweep as leaving `open_sweep` does, and is raised once that is done; a second one kills the bench process.

    Args:
        output: See `open_sweep`.
        resume: See `open_sweep`.
        subscribers: See `open_sweep`; they are called on the sweep's thread.

    Raises:
        BadInputError: See `open_sweep`.
        AsyncbenchError: See `open_sweep`.
        KeyboardInterrupt: The results so far are in `output`.
    """
    blocking = _BlockingRun(open_sweep(sweep, output=output, resume=resume, subscribers=subscribers))
    return blocking.run()


def read(path: File) -> SweepResults:
    """Return the results in a file. The last line may be torn, as a killed sweep leaves it: it is dropped.

    Raises:
        BadInputError: The file cannot be read, or is no results file of this version.
    """
    file = path_of(path, what="a results file", remedy=_NAME_RESULTS)
    require_regular_file(file, what="the results", remedy=_NAME_RESULTS)
    found = read_results(file, allow_torn=True)
    cells = tuple(found.cells[index] for index in sorted(found.cells))
    return SweepResults(header=found.header, cells=cells, trailer=found.trailer)


class _BlockingRun:
    """One sweep on a thread of its own, and what Ctrl-C on the waiting one does to it."""

    def __init__(self, context: AbstractAsyncContextManager[RunningSweep]) -> None:
        self._context = context
        self._scope = trio.CancelScope()
        self._running: RunningSweep | None = None
        self._token: trio.lowlevel.TrioToken | None = None
        self._is_cancelled = False

    def run(self) -> SweepResults:
        """Run it, and wait for its end whatever happens."""
        with ThreadPoolExecutor(max_workers=1, thread_name_prefix="asyncbench-sweep") as threads:
            future: Future[SweepResults | None] | None = None
            try:
                future = threads.submit(trio.run, self._main)
                return _result_of(future)
            except KeyboardInterrupt:
                self._stop()
                self._wait_or_abort(future)
                raise

    async def _main(self) -> SweepResults | None:
        self._token = trio.lowlevel.current_trio_token()
        with self._scope:
            if self._is_cancelled:
                return None
            async with self._context as running:
                self._running = running
                async for _ in running:
                    pass
            return running.results
        return None

    def _wait_or_abort(self, future: Future[SweepResults | None] | None) -> None:
        try:
            if future is not None:
                future.exception()
        except KeyboardInterrupt:
            if self._running is not None:
                self._soon(self._running.abort)
            raise

    def _stop(self) -> None:
        self._is_cancelled = True
        self._soon(self._scope.cancel)

    def _soon(self, call: Callable[[], object]) -> None:
        """Call something on the sweep's thread, if it is there and not over."""
        if self._token is not None:
            with suppress(trio.RunFinishedError):
                self._token.run_sync_soon(call)


def _result_of(future: Future[SweepResults | None]) -> SweepResults:
    results = future.result()
    if results is None:
        raise InternalError("a sweep was cancelled by nobody")
    return results


def _configs(sweep: Sweep | Sequence[Sweep]) -> tuple[SweepConfig, ...]:
    if isinstance(sweep, str | Mapping) or not isinstance(sweep, Sweep | Iterable):
        raise BadInputError(f"{shown(sweep)} is not a Sweep", remedy=_REMEDY)
    sweeps: tuple[object, ...] = (sweep,) if isinstance(sweep, Sweep) else tuple(sweep)
    if not sweeps:
        raise BadInputError("there is no sweep to run", remedy=_REMEDY)
    configs = tuple(each.config for each in sweeps if isinstance(each, Sweep))
    if len(configs) < len(sweeps):
        wrong = next(each for each in sweeps if not isinstance(each, Sweep))
        raise BadInputError(f"{shown(wrong)} is not a Sweep", remedy=_REMEDY)
    return configs


def _output(output: OutputName, *, resume: bool) -> OutputName:
    if output is None or output == STDOUT:
        if resume:
            raise BadInputError("resume goes on with a file, and none is named", remedy="name it: output=...")
        return output
    return path_of(output, what="output", remedy='give the name of a new file, "-" for stdout, or None')


def _subscribers(subscribers: Sequence[Subscriber]) -> tuple[Subscriber, ...]:
    given = tuple(subscribers) if isinstance(subscribers, Iterable) else (subscribers,)
    if wrong := [each for each in given if not callable(each)]:
        raise BadInputError(f"subscriber {shown(wrong[0])} cannot be called", remedy="give a list of functions")
    return given
