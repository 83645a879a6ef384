"""Pull of published weights into the cache folder: whole, checked and pinned, or not at all."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import httpx2
import trio

from asyncbench.clock import utc_now_text
from asyncbench.errors import BadInputError
from asyncbench.files.durable_file import cannot_store, replace_durably, write_durably
from asyncbench.files.file_lock import hold_lock
from asyncbench.files.hash import sha256_of
from asyncbench.models.store.download import PAUSES_S, OnProgress, PartFile, download
from asyncbench.models.store.folder import Pin, WeightsFolder, encode_pin, find_damage, read_pin
from asyncbench.models.store.network_check import check_network
from asyncbench.models.store.published import PublishedWeights

UNKNOWN_LICENCE = "unknown, see where the copy came from"
_FROZEN_GRAPH_SUFFIX = ".pb"


async def pull_weights(
    folder: WeightsFolder,
    weights: PublishedWeights,
    *,
    client: httpx2.AsyncClient,
    url: str,
    report: Callable[[str], None],
    on_fetch: Callable[[], None],
    on_progress: OnProgress,
    pauses_s: Sequence[float] = PAUSES_S,
) -> Pin:
    """Return the pin of weights that are there; fetch them from `url` if they are not, once for all processes.

    Cancelling is safe at any time: what has arrived is kept, and the next call goes on from there.

    Args:
        on_fetch: Called before the first byte is asked for; not where nothing is fetched.

    Raises:
        DownloadError: They cannot be fetched.
        BadInputError: What came is not this network, or not the file that was pinned before.
        OutputError: The folder cannot be written.
    """
    await trio.to_thread.run_sync(folder.create)
    async with hold_lock(
        folder.lock_path(weights.model), on_wait=lambda: report(f"{weights.model}: another process fetches it; waiting")
    ):
        found = await trio.to_thread.run_sync(_find_sound, folder, weights.model, report)
        if found is not None:
            report(
                f"{weights.model}: already here, from {found.source}; to replace it, delete "
                f"{folder.pin_path(weights.model)} and pull again"
            )
            return found
        on_fetch()
        part = PartFile(path=folder.part_path(weights.model), facts_path=folder.part_facts_path(weights.model))
        await download(client, url, part, report=report, on_progress=on_progress, pauses_s=pauses_s)
        return await trio.to_thread.run_sync(_commit_part, folder, weights, part, url)


async def keep_copy(
    folder: WeightsFolder, weights: PublishedWeights, copy: Path, *, report: Callable[[str], None]
) -> Pin:
    """Return the pin of weights that were copied from a file at hand. The file itself is left alone.

    Raises:
        BadInputError: The file is not this network, or not the one that was pinned before.
        OutputError: The folder cannot be written.
    """
    if copy.suffix == _FROZEN_GRAPH_SUFFIX:
        raise BadInputError(
            f"{copy} is a frozen TensorFlow graph",
            remedy=f"run `utility/convert-frozen-graph {copy} {weights.model}.onnx`, and give what it writes to --from",
        )
    await trio.to_thread.run_sync(folder.create)
    async with hold_lock(
        folder.lock_path(weights.model), on_wait=lambda: report(f"{weights.model}: another process fetches it; waiting")
    ):
        return await trio.to_thread.run_sync(_copy_and_commit, folder, weights, copy)


def _find_sound(folder: WeightsFolder, model: str, report: Callable[[str], None]) -> Pin | None:
    pin = read_pin(folder, model)
    if pin is None:
        return None
    if damage := find_damage(folder, pin):
        report(f"{model}: fetching it again, {damage}")
        return None
    return pin


def _commit_part(folder: WeightsFolder, weights: PublishedWeights, part: PartFile, source: str) -> Pin:
    try:
        return _commit(folder, weights, part.path, source)
    except BadInputError as error:
        # It is whole, and wrong: there is nothing to go on with. Its temporary name means nothing to people.
        raise BadInputError(error.message.replace(str(part.path), source), remedy=error.remedy) from error
    finally:
        part.discard()


def _copy_and_commit(folder: WeightsFolder, weights: PublishedWeights, copy: Path) -> Pin:
    check_network(copy, weights)  # before the copying, so that the error names the user's file
    temporary = folder.copy_path(weights.model)
    try:
        shutil.copyfile(copy, temporary)
        return _commit(folder, weights, temporary, str(copy.resolve()))
    except OSError as error:
        raise cannot_store(temporary, error) from error
    finally:
        temporary.unlink(missing_ok=True)


def _commit(folder: WeightsFolder, weights: PublishedWeights, arrived: Path, source: str) -> Pin:
    """Make `arrived` the weights of the cache. Needs the lock."""
    check = check_network(arrived, weights)
    pin = Pin(
        model=weights.model,
        sha256=sha256_of([arrived]),
        size_bytes=arrived.stat().st_size,
        source=source,
        licence=weights.licence if check.published else UNKNOWN_LICENCE,
        obtained_at=utc_now_text(),
        network=check.network,
        complaint=check.complaint,
    )
    pinned = read_pin(folder, weights.model)
    if pinned is not None and pinned.sha256 != pin.sha256:
        raise _differs(folder, pinned, pin)
    try:
        replace_durably(arrived, folder.weights_path(weights.model))
    except OSError as error:
        raise cannot_store(folder.weights_path(weights.model), error) from error
    if pinned is not None:
        return pinned
    write_durably(folder.pin_path(weights.model), encode_pin(pin))
    return pin


def _differs(folder: WeightsFolder, pinned: Pin, pin: Pin) -> BadInputError:
    return BadInputError(
        f"{pin.source} has the SHA-256 {pin.sha256}, but {pinned.model} was pinned at {pinned.obtained_at} "
        f"to {pinned.sha256} ({pinned.source})",
        remedy=f"if the new file is the right one, delete {folder.pin_path(pin.model)} and pull again",
    )
