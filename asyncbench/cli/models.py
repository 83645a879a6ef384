"""`asyncbench models`: the built-in networks, and their published weights."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import trio
import typer
from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn, TransferSpeedColumn

from asyncbench.cli.show.terminal import people_console
from asyncbench.errors import BadInputError, ExitCode
from asyncbench.models.catalog import MODELS
from asyncbench.models.store.folder import Pin, WeightsFolder, find_weights
from asyncbench.models.store.published import PublishedWeights, find_published
from asyncbench.places import cache_folder
from asyncbench.sweep.problems import did_you_mean
from asyncbench.units import format_size

# Bytes that have arrived, and of how many, where that is known.
OnProgress = Callable[[int, int | None], None]

model_commands = typer.Typer(
    invoke_without_command=True,
    help="List the built-in networks, and fetch their published weights.",
    rich_markup_mode=None,
)


def weights_folder() -> WeightsFolder:
    """Return where published weights are kept."""
    return WeightsFolder(root=cache_folder() / "weights")


@model_commands.callback()
def models(context: typer.Context) -> None:
    """List the built-in networks; any other one is given with `sweep --model FILE.onnx`."""
    if context.invoked_subcommand is not None:
        return
    folder = weights_folder()
    for info in MODELS:
        size = f"3x{info.input_size}x{info.input_size}"
        work = f"{info.multiply_accumulates / 1e6:,.0f} M multiply-accumulates"
        typer.echo(f"{info.name:<13} {info.title:<22} {size:<10} {work}, {info.parameters / 1e6:.1f} M parameters")
        typer.echo(f"{'':<13} published weights: {_state(find_published(info.name), folder)}")


@model_commands.command(
    help="Fetch the published weights of a network, or keep a copy at hand; checked, and pinned by their hash."
)
def pull(
    name: Annotated[str, typer.Argument(help="A built-in network; `asyncbench models` lists them.")],
    *,
    source: Annotated[
        Path | None, typer.Option("--from", help="Keep a copy of this ONNX file in place of fetching one.")
    ] = None,
    url: Annotated[str | None, typer.Option(help="Fetch the same file from another address.")] = None,
) -> int:
    """Fetch the published weights of a network, or keep a copy at hand, checked and pinned by their hash.

    Raises:
        BadInputError: There is no such network, or the file is not the one that it should be.
        DownloadError: The file cannot be fetched.
    """
    # Here, because they bring onnx and an HTTP client along, and the supervisor of a sweep stays small.
    from asyncbench.models.store.download import open_client  # noqa: PLC0415 # see above
    from asyncbench.models.store.pull import keep_copy, pull_weights  # noqa: PLC0415 # see above

    if source is not None and url is not None:
        raise BadInputError("models pull: --from and --url name two sources", remedy="leave one of them out")
    if name not in {info.name for info in MODELS}:
        known = [info.name for info in MODELS]
        remedy = f"{did_you_mean(name, known)}choose {', '.join(known)}"
        raise BadInputError(f"models pull: {name!r} is no built-in network", remedy=remedy)
    weights, folder = find_published(name), weights_folder()

    async def obtain() -> Pin:
        if source is not None:
            return await keep_copy(folder, weights, source, report=_print_line)
        address = url or weights.url
        with _show_progress() as on_progress:
            async with open_client() as client:
                return await pull_weights(
                    folder,
                    weights,
                    client=client,
                    url=address,
                    report=_print_line,
                    on_fetch=lambda: _announce(weights, address),
                    on_progress=on_progress,
                )

    try:
        pin = trio.run(obtain)
    except KeyboardInterrupt:
        _print_line("interrupted; the same command goes on where it stopped")
        return ExitCode.INTERRUPTED
    _report(pin, folder)
    return ExitCode.OK


def _state(weights: PublishedWeights, folder: WeightsFolder) -> str:
    """Return what is known of the published weights, and where they are, on one line."""
    pin = find_weights(folder, weights.model)
    published = f"{weights.title}, {weights.accuracy}, {weights.licence}"
    if pin is None:
        remark = f" ({weights.remark})" if weights.remark else ""
        return f"{published}; not pulled{remark}"
    known = published if pin.licence == weights.licence else f"a copy of {pin.source}, licence {pin.licence}"
    limits = f", cannot be run as it is: {pin.complaint}" if pin.complaint else ""
    return f"{known}; pulled to {folder.weights_path(pin.model)}{limits}"


def _announce(weights: PublishedWeights, url: str) -> None:
    _print_line(f"{weights.title}, {weights.accuracy}, licence {weights.licence}")
    _print_line(f"from {url}")
    if weights.remark:
        _print_line(f"note: {weights.remark}")


def _report(pin: Pin, folder: WeightsFolder) -> None:
    path = folder.weights_path(pin.model)
    _print_line(f"{format_size(pin.size_bytes)}, SHA-256 {pin.sha256}, licence {pin.licence}")
    typer.echo(path)
    if pin.complaint:
        _print_line(f"this file cannot be run as it is: {pin.complaint}")
        return
    # With its name given, images are prepared as for the built-in network: only right for the same architecture.
    name = f"{pin.model} " if pin.network == pin.model else ""
    _print_line(f"run it with: asyncbench sweep {name}--model {path}")


def _print_line(line: str) -> None:
    typer.echo(line, err=True)


@contextmanager
def _show_progress() -> Iterator[OnProgress]:
    """Yield what shows how much has arrived: a bar on a terminal, else a line every tenth."""
    if not sys.stderr.isatty():
        yield _ProgressLines()
        return
    columns = (BarColumn(), DownloadColumn(binary_units=True), TransferSpeedColumn(), TimeRemainingColumn())
    with Progress(*columns, console=people_console(), transient=True) as bar:
        task = bar.add_task("", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


class _ProgressLines:
    """Lines that say how much has arrived, at every tenth of it; of a file of unknown size, nothing."""

    def __init__(self) -> None:
        self._said_tenths = 0

    def __call__(self, done_bytes: int, total_bytes: int | None) -> None:
        if not total_bytes:
            return
        tenths = 10 * done_bytes // total_bytes
        if tenths != self._said_tenths:
            self._said_tenths = tenths
            _print_line(f"{tenths * 10} % of {format_size(total_bytes)}")
