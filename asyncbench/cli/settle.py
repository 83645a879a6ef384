"""Defaults that networks decide, settled on the command line: each decision is a line on stderr."""

from __future__ import annotations

import signal
from collections.abc import Callable, Sequence
from contextlib import closing
from functools import partial
from typing import TypeVar

import trio
from rich.console import Console

from asyncbench.cli.log import logging_to
from asyncbench.cli.stop_signals import until_signal
from asyncbench.error_group import own_error_alone
from asyncbench.memory.host.probe import HostMemory
from asyncbench.process_start import ending_signals
from asyncbench.supervisor import settled_defaults
from asyncbench.sweep.config import SweepConfig

T = TypeVar("T")


def settle_defaults(configs: Sequence[SweepConfig], console: Console) -> tuple[SweepConfig, ...]:
    """Return the sweeps with what their networks decide, and say each decision in a line.

    Raises:
        BadInputError: A model cannot be used at all.
        BenchProcessDiedError: The process that looks at the models died of one.
        KeyboardInterrupt: A signal came.
    """
    if not settled_defaults.files_to_inspect(configs):
        return tuple(configs)
    with logging_to(None, verbose=False), closing(HostMemory()) as host_memory, own_error_alone():
        settle = partial(settled_defaults.settle_defaults, configs, host_memory.read_oom)
        settled = _with_signals_kept(lambda: trio.run(until_signal, settle))
    if settled is None:
        raise KeyboardInterrupt
    configs, texts = settled
    for text in texts:
        console.print(text, highlight=False, markup=False, soft_wrap=True)
    return tuple(configs)


def _with_signals_kept(call: Callable[[], T]) -> T:
    """Return what `call` does; afterwards signals do again what they did before: a sweep is still to come."""
    handlers = {number: signal.getsignal(number) for number in ending_signals()}
    try:
        return call()
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
