"""`asyncbench engines`: what lies in the cache of built engines."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from asyncbench.backends.tensorrt.cache.folder import user_engine_folder
from asyncbench.backends.tensorrt.cache.inventory import inspect_engine, list_engines
from asyncbench.backends.tensorrt.cache.prune import PrunePolicy, prune
from asyncbench.backends.tensorrt.cache.sidecar import encode_sidecar
from asyncbench.cli.usage import read_option
from asyncbench.errors import BadInputError
from asyncbench.units import counted, format_duration, format_size, parse_duration_ns, parse_size_bytes

SHOWN_KEY_CHARS = 12

engines = typer.Typer(no_args_is_help=True, help="List, inspect and remove built engines.", rich_markup_mode=None)


@engines.command("list")
def list_all() -> None:
    """List the engines, last used first."""
    folder = user_engine_folder()
    found = list_engines(folder)
    for one in found:
        sidecar, identity = one.sidecar, one.sidecar.identity
        built_for = f"{identity.flavour} {identity.flavour_version}, {identity.gpu_name}"
        build = f"built {sidecar.built_at} in {format_duration(sidecar.build.build_ns)}"
        size = format_size(sidecar.engine_bytes)
        typer.echo(f"{sidecar.key[:SHOWN_KEY_CHARS]}  {size:>9}  {sidecar.label}; {built_for}; {build}")
    typer.echo(f"{counted(len(found), 'engine')} in {folder.root}", err=True)


@engines.command()
def inspect(key: Annotated[str, typer.Argument(help="The key of an engine, or the first characters of it.")]) -> None:
    """Read an engine wholly, say whether it is sound, and print what it was made of as JSON."""
    found = inspect_engine(user_engine_folder(), key)
    typer.echo(encode_sidecar(found.sidecar).decode(), nl=False)
    typer.echo(f"damaged, will be rebuilt: {found.damage}" if found.damage else "sound", err=True)


@engines.command("prune", help="Remove engines, and what is in quarantine.")
def remove(
    *,
    unused_for: Annotated[str | None, typer.Option(help="Remove what was not used for so long, such as 720h.")] = None,
    max_size: Annotated[
        str | None, typer.Option(help="Remove the longest unused until the rest fits, such as 10GiB.")
    ] = None,
    keep_version: Annotated[
        str | None, typer.Option(help="Remove what another version built than this, such as 'tensorrt 8.6.0'.")
    ] = None,
) -> None:
    """Remove engines, and what is in quarantine.

    Raises:
        BadInputError: Nothing was said of what may go.
    """
    if unused_for is max_size is keep_version is None:
        raise BadInputError("engines prune: nothing says what may go", remedy="give --unused-for or --max-size")
    policy = PrunePolicy(
        unused_for_ns=None if unused_for is None else read_option("--unused-for", parse_duration_ns, unused_for),
        max_bytes=None if max_size is None else read_option("--max-size", parse_size_bytes, max_size),
        keep_version=keep_version,
    )
    # Files carry the time of day, not the clock of the measurements.
    removed = prune(user_engine_folder(), policy, now_ns=time.time_ns())
    for victim in removed:
        typer.echo(f"removed {victim.key[:SHOWN_KEY_CHARS]} {victim.label}: {victim.reason}")
    freed = format_size(sum(victim.engine_bytes for victim in removed))
    typer.echo(f"{counted(len(removed), 'engine')} removed, {freed}", err=True)
