"""Defaults that a network decides: the batch where it has one alone, noise where it takes no images.

Settled before a grid is made, so that a dry run, the records and a resumed sweep all see what is measured.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import trio

from asyncbench.files.user_file import require_regular_file
from asyncbench.places import BENCH_COMMAND
from asyncbench.supervisor.bench_client import BenchClient, ReadOom, open_bench
from asyncbench.sweep.axis import MAX_VALUE
from asyncbench.sweep.cell import InputKind
from asyncbench.sweep.config import SweepConfig
from asyncbench.wire.messages import InspectNetwork, NetworkInspected, Refused, error_of


def files_to_inspect(configs: Sequence[SweepConfig]) -> list[str]:
    """Return the networks that decide something; none where everything was given.

    Raises:
        BadInputError: A model is no file.
    """
    for config in configs:
        if config.model_file and not config.runs_simulated:
            require_regular_file(Path(config.model_file), what="the model", remedy="name an ONNX file")
    return sorted({config.model_file for config in configs if config.model_file and _is_open(config)})


async def settle_defaults(
    configs: Sequence[SweepConfig], read_oom: ReadOom
) -> tuple[tuple[SweepConfig, ...], list[str]]:
    """Return the sweeps with what their networks decide, and a line for each decision.

    What was given stays as it is: where a network cannot do it, opening its engine refuses it with the remedy.

    Raises:
        BadInputError: A model cannot be used at all.
        BenchProcessDiedError: The process that looks at the models died of one.
    """
    files = files_to_inspect(configs)
    if not files:
        return tuple(configs), []
    async with open_bench(BENCH_COMMAND, read_oom) as bench:
        found = {file: await _ask(bench, file) for file in files}
    settled = [_settled(config, found.get(config.model_file or "")) for config in configs]
    texts = dict.fromkeys(text for _, each in settled for text in each)
    return tuple(config for config, _ in settled), list(texts)


def _is_open(config: SweepConfig) -> bool:
    return not config.runs_simulated and (_batch_is_open(config) or _input_is_open(config))


def _batch_is_open(config: SweepConfig) -> bool:
    return "batch" not in config.model_fields_set


def _input_is_open(config: SweepConfig) -> bool:
    """Return whether noise may take the place of images: not where a network is named or labelled that takes them."""
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
    if network is not None and network.no_images is not None and _input_is_open(config):
        update["input"] = InputKind.RANDOM
        texts.append(f"{config.model_file} takes no images ({network.no_images}): measured with --input random")
    return config.model_copy(update=update), texts


async def _ask(bench: BenchClient, file: str) -> NetworkInspected:
    try:
        answer = await bench.ask(InspectNetwork(model_file=file), NetworkInspected, on_progress=lambda _: None)
    except trio.Cancelled:
        bench.kill()  # there is nothing in it to drain
        raise
    if isinstance(answer, Refused):
        raise error_of(answer)
    return answer
