"""Download of a file over HTTP that goes on where it broke off, and never takes a part for the whole."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import aclosing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx2
import trio
from pydantic import TypeAdapter, ValidationError

from asyncbench.errors import DownloadError
from asyncbench.files.durable_file import cannot_store, write_durably
from asyncbench.models.store.http_rules import PartFacts, Step, is_downgrade, read_answer, request_headers
from asyncbench.units import format_size

# One pause per failure in a row; a failure after bytes that were never reached before starts the row anew.
PAUSES_S = (1.0, 2.0, 4.0, 8.0, 16.0)
_TIMEOUT = httpx2.Timeout(15.0, read=30.0)
_MAX_REDIRECTS = 5
_REMEDY = "try again later, it goes on where it stopped, or fetch it otherwise and give it with --from"

# Bytes that are there, and of how many, where that is known.
OnProgress = Callable[[int, int | None], None]

_ADAPTER = TypeAdapter(PartFacts)


@dataclass(frozen=True, slots=True, kw_only=True)
class PartFile:
    """The two files of a download that may not be finished. All of it blocks: call it in a worker thread."""

    path: Path
    facts_path: Path

    def size_bytes(self) -> int:
        """Return how much is there; 0 where nothing is."""
        try:
            return self.path.stat().st_size
        except FileNotFoundError:
            return 0

    def facts(self, url: str) -> PartFacts | None:
        """Return what the part is a part of, or None where that is not the file at `url`, or cannot be told."""
        try:
            facts = _ADAPTER.validate_json(self.facts_path.read_bytes())
        except (OSError, ValidationError):
            return None
        return facts if facts.url == url else None

    def begin(self, facts: PartFacts) -> None:
        """Forget what is there; what comes from now on is a part of `facts`.

        Raises:
            OutputError: The folder cannot be written.
        """
        # In this order: a crash in between must not leave old bytes beside new facts.
        self.discard()
        write_durably(self.facts_path, _ADAPTER.dump_json(facts) + b"\n")

    def append(self, chunk: bytes) -> None:
        """Write behind what is there.

        Raises:
            OutputError: The disk is full, or the folder cannot be written.
        """
        with _reporting(self.path), self.path.open("ab", buffering=0) as file:
            view = memoryview(chunk)
            while view:
                view = view[file.write(view) :]

    def discard(self) -> None:
        """Remove both files.

        Raises:
            OutputError: They cannot be removed.
        """
        with _reporting(self.path):
            self.path.unlink(missing_ok=True)
            self.facts_path.unlink(missing_ok=True)


class _BrokenOffError(Exception):
    """An attempt failed, and another one may not."""


def open_client(*, timeout: httpx2.Timeout = _TIMEOUT, trust_env: bool = True) -> httpx2.AsyncClient:
    """Return the HTTP client; to be used in an `async with`.

    Args:
        trust_env: Use the proxies that the environment names.
    """
    return httpx2.AsyncClient(timeout=timeout, trust_env=trust_env, follow_redirects=True, max_redirects=_MAX_REDIRECTS)


async def download(
    client: httpx2.AsyncClient,
    url: str,
    part: PartFile,
    *,
    report: Callable[[str], None],
    on_progress: OnProgress,
    pauses_s: Sequence[float] = PAUSES_S,
) -> None:
    """Fetch `url` into `part`, whole when this returns; what is there of the same file already is not fetched again.

    Cancelling is safe at any time: what has arrived stays in `part`, and the next call goes on from there.

    Args:
        report: Takes one line for people: why something is fetched again, or what is waited for.
        pauses_s: How long to wait after each failure in a row that brought nothing new; their number is the limit.

    Raises:
        DownloadError: The server refuses, cannot be reached, or sends something else than it said.
        OutputError: The disk is full, or the folder cannot be written.
    """
    failures, furthest = 0, await trio.to_thread.run_sync(part.size_bytes)
    while True:
        try:
            return await _attempt(client, url, part, report=report, on_progress=on_progress)
        except (httpx2.TooManyRedirects, httpx2.InvalidURL, httpx2.UnsupportedProtocol) as error:
            reason = str(error).rstrip(".")
            raise DownloadError(f"cannot fetch {url}: {reason}", remedy="check the address") from error
        except (_BrokenOffError, httpx2.TransportError) as error:
            reason = str(error) or type(error).__name__
        reached = await trio.to_thread.run_sync(part.size_bytes)
        failures = 1 if reached > furthest else failures + 1
        furthest = max(furthest, reached)
        if failures > len(pauses_s):
            raise DownloadError(
                f"cannot fetch {url}: {reason}, {failures} times without anything new at {reached} B", remedy=_REMEDY
            )
        pause_s = pauses_s[failures - 1]
        report(f"broken off at {format_size(reached)} ({reason}); going on in {pause_s:g} s")
        await trio.sleep(pause_s)


async def _attempt(
    client: httpx2.AsyncClient, url: str, part: PartFile, *, report: Callable[[str], None], on_progress: OnProgress
) -> None:
    facts, part_bytes = await trio.to_thread.run_sync(_what_is_there, part, url)
    if facts is not None and part_bytes == facts.total_bytes:
        return
    async with client.stream("GET", url, headers=request_headers(facts, part_bytes)) as response:
        if is_downgrade(url, str(response.url)):
            raise DownloadError(f"{url} leads to the plain {response.url}", remedy="check the address")
        reading = read_answer(response.status_code, response.headers, url=url, part=facts, part_bytes=part_bytes)
        if reading.step is Step.REFUSE:
            raise DownloadError(f"cannot fetch {url}: {reading.reason}", remedy=_REMEDY)
        if reading.step is Step.ASK_AGAIN:
            await trio.to_thread.run_sync(part.discard)
        if reading.step in {Step.RETRY, Step.ASK_AGAIN}:
            raise _BrokenOffError(reading.reason)
        if reading.step is Step.START_OVER:
            if reading.reason:
                report(f"starting over: {reading.reason}")
            await trio.to_thread.run_sync(part.begin, reading.facts)
            part_bytes = 0
        await _receive(response, part, part_bytes, total_bytes=reading.facts.total_bytes, on_progress=on_progress)


def _what_is_there(part: PartFile, url: str) -> tuple[PartFacts | None, int]:
    """Return what can be continued; a part that cannot is removed."""
    facts, part_bytes = part.facts(url), part.size_bytes()
    if facts is None or (facts.total_bytes is not None and part_bytes > facts.total_bytes):
        part.discard()
        return None, 0
    return facts, part_bytes


async def _receive(
    response: httpx2.Response, part: PartFile, part_bytes: int, *, total_bytes: int | None, on_progress: OnProgress
) -> None:
    on_progress(part_bytes, total_bytes)
    # Not in larger chunks: what was gathered for one is lost when the connection breaks.
    async with aclosing(response.aiter_raw()) as chunks:
        async for chunk in chunks:
            await trio.to_thread.run_sync(part.append, chunk)
            part_bytes += len(chunk)
            on_progress(part_bytes, total_bytes)
    if total_bytes is not None and part_bytes != total_bytes:
        raise _BrokenOffError(f"the server said {total_bytes} B and sent {part_bytes}")


@contextmanager
def _reporting(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise cannot_store(path, error) from error
