"""What a command leaves open and a network decides: the batch where it has one alone, noise where it takes no pictures.

Settled before a grid is made, so that `--dry-run`, the records and `--resume` all see what is measured.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Sequence
from contextlib import closing
from pathlib import Path
from typing import TypeVar

import trio
from rich.console import Console

from asyncbench.cli.log import logging_to
from asyncbench.cli.stop_signals import until_signal
from asyncbench.error_group import own_error_alone
from asyncbench.errors import BenchProcessDiedError
from asyncbench.files.user_file import require_regular_file
from asyncbench.memory.host.probe import HostMemory
from asyncbench.places import BENCH_COMMAND
from asyncbench.process_start import ending_signals
from asyncbench.supervisor.bench_client import BenchClient, ReadOom, open_bench
from asyncbench.sweep.axis import MAX_VALUE
from asyncbench.sweep.cell import InputKind
from asyncbench.sweep.config import SweepConfig
from asyncbench.wire.messages import InspectNetwork, NetworkInspected, Refused, error_of

T = TypeVar("T")

_SETTLE = "settle"  # for the log; there is no sweep yet


def settle_defaults(configs: Sequence[SweepConfig], console: Console) -> tuple[SweepConfig, ...]:
    """Return the sweeps with what their networks decide, and say each decision in a line.

    What was given stays as it is: where a network cannot do it, opening its engine refuses it with the remedy.

    Raises:
        BadInputError: A model cannot be used at all.
        BenchProcessDiedError: The process that looks at the models died of one.
        KeyboardInterrupt: A signal came.
    """
    for config in configs:
        if config.model_file and not config.runs_simulated:
            require_regular_file(Path(config.model_file), what="the model", remedy="name an ONNX file")
    files = {config.model_file for config in configs if config.model_file and _is_open(config)}
    if not files:
        return tuple(configs)
    with logging_to(None, verbose=False, sweep_id=_SETTLE), closing(HostMemory()) as host_memory, own_error_alone():
        found = _with_signals_kept(lambda: trio.run(_ask_until_signal, sorted(files), host_memory.read_oom))
    if found is None:
        raise KeyboardInterrupt
    settled = [_settled(config, found.get(config.model_file or "")) for config in configs]
    for text in dict.fromkeys(text for _, texts in settled for text in texts):
        console.print(text, highlight=False, markup=False, soft_wrap=True)
    return tuple(config for config, _ in settled)


def _is_open(config: SweepConfig) -> bool:
    return not config.runs_simulated and (_batch_is_open(config) or _input_is_open(config))


def _batch_is_open(config: SweepConfig) -> bool:
    return "batch" not in config.model_fields_set


def _input_is_open(config: SweepConfig) -> bool:
    """Whether noise may take the place of pictures: not where a network is named or labelled that takes them."""
    given = config.model_fields_set & {"input", "images", "dataset", "model"}
    return not given


def _settled(config: SweepConfig, network: NetworkInspected | None) -> tuple[SweepConfig, list[str]]:
    """Return the sweep that its network can run, and a line for each key that changed. Pure."""
    update: dict[str, object] = {}
    texts = []
    batch = None if network is None else network.fixed_batch
    if network is not None and batch is not None and batch <= MAX_VALUE and _batch_is_open(config):
        update["batch"] = (batch,)
        why = (
            f"runs at batch {batch} only ({network.fixed_by})" if network.fixed_by else f"has a fixed batch of {batch}"
        )
        texts.append(f"{config.model_file} {why}: measured at batch {batch}")
    if network is not None and network.no_pictures is not None and _input_is_open(config):
        update["input"] = InputKind.RANDOM
        texts.append(f"{config.model_file} takes no pictures ({network.no_pictures}): measured with --input random")
    return config.model_copy(update=update), texts


def _with_signals_kept(call: Callable[[], T]) -> T:
    """Return what `call` does; afterwards signals do again what they did before: a sweep is still to come."""
    handlers = {number: signal.getsignal(number) for number in ending_signals()}
    try:
        return call()
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)


async def _ask_until_signal(files: Sequence[str], read_oom: ReadOom) -> dict[str, NetworkInspected] | None:
    """Ask for all files; None when a signal came."""

    async def ask_all() -> dict[str, NetworkInspected]:
        async with open_bench(BENCH_COMMAND, read_oom) as bench:
            return {file: await _ask(bench, file) for file in files}

    return await until_signal(ask_all)


async def _ask(bench: BenchClient, file: str) -> NetworkInspected:
    try:
        answer = await bench.ask(InspectNetwork(model_file=file), on_progress=lambda _: None)
    except trio.Cancelled:
        bench.kill()  # there is nothing in it to drain
        raise
    if isinstance(answer, Refused):
        raise error_of(answer)
    if not isinstance(answer, NetworkInspected):
        raise BenchProcessDiedError(f"the bench process answered with {type(answer).__name__}")
    return answer
