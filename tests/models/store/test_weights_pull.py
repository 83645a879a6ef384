"""Pulling over real sockets from a server that breaks off, redirects, lies and changes its mind."""

from __future__ import annotations

import hashlib
import json
from types import SimpleNamespace

import pytest
import trio

from asyncbench.errors import BadInputError, DownloadError
from asyncbench.models.store.download import open_client
from asyncbench.models.store.folder import find_weights
from asyncbench.models.store.pull import pull_weights


class Puller:
    """Pulls, and remembers what was said and shown."""

    def __init__(self, folder, weights, client, server):
        self.folder, self.weights, self.client, self.server = folder, weights, client, server
        self.said: list[str] = []
        self.progress: list[tuple[int, int | None]] = []
        self.fetches = 0
        self.on_progress = lambda done, total: self.progress.append((done, total))

    def on_fetch(self):
        self.fetches += 1

    async def pull(self, *, tries=3):
        return await pull_weights(
            self.folder,
            self.weights,
            client=self.client,
            url=self.server.url,
            report=self.said.append,
            on_fetch=self.on_fetch,
            on_progress=self.on_progress,
            pauses_s=(0.0,) * tries,
        )

    def cancel_at(self, done_bytes, scope):
        def cancel(done, total):
            self.progress.append((done, total))
            if done >= done_bytes:
                scope.cancel()

        self.on_progress = cancel

    def files(self):
        return sorted(path.name for path in self.folder.root.iterdir())

    def offsets(self):
        return [request.offset for request in self.server.requests]


@pytest.fixture
def puller(folder, weights, client, server):
    return Puller(folder, weights, client, server)


async def test_the_file_is_kept_with_its_hash_size_source_and_licence(puller, server):
    pin = await puller.pull()

    assert puller.folder.weights_path("resnet50").read_bytes() == server.content
    assert (pin.sha256, pin.size_bytes, pin.licence) == (server.sha256, len(server.content), "Apache-2.0")
    assert json.loads(puller.folder.pin_path("resnet50").read_text())["source"] == server.url
    assert puller.files() == ["resnet50.onnx", "resnet50.onnx.json", "resnet50.onnx.lock"]
    assert puller.progress[0] == (0, len(server.content))
    assert puller.progress[-1] == (len(server.content), len(server.content))


async def test_what_is_there_is_not_fetched_again(puller, server):
    first = await puller.pull()

    second = await puller.pull()

    assert second == first
    assert (len(server.requests), puller.fetches) == (1, 1)
    pin_path = puller.folder.pin_path("resnet50")
    assert puller.said == [
        f"resnet50: already here, from {server.url}; to replace it, delete {pin_path} and pull again"
    ]


async def test_what_is_there_is_replaced_once_its_pin_is_deleted(puller, server):
    await puller.pull()
    puller.folder.pin_path("resnet50").unlink()
    server.answers = [server.sends(server.another(), etag='"two"')]

    pin = await puller.pull()

    assert pin.sha256 == hashlib.sha256(server.another()).hexdigest()
    assert puller.folder.weights_path("resnet50").read_bytes() == server.another()


@pytest.mark.parametrize("url", ["foo", "ftp://127.0.0.1/file.onnx", "http://"])
async def test_an_address_that_is_none_is_refused_at_once(puller, url):
    puller.server = SimpleNamespace(url=url)

    with pytest.raises(DownloadError, match=f"cannot fetch {url}: .*: check the address"):
        await puller.pull()

    assert puller.said == []


async def test_a_broken_connection_goes_on_where_it_broke_off(puller, server):
    server.answers = [server.sends(stop_at=server.half), server.sends()]

    pin = await puller.pull()

    assert pin.sha256 == server.sha256
    assert puller.offsets() == [0, server.half]
    assert puller.said[0].startswith("broken off at")


async def test_tries_are_not_counted_while_something_new_arrives(puller, server):
    stops = range(50_000, len(server.content), 50_000)
    server.answers = [*(server.sends(stop_at=stop) for stop in stops), server.sends()]

    pin = await puller.pull(tries=1)

    assert pin.sha256 == server.sha256
    assert puller.offsets() == [0, *stops]


async def test_a_server_that_breaks_off_at_the_same_place_is_given_up(puller, server):
    server.answers = [server.sends(stop_at=server.half)]

    with pytest.raises(
        DownloadError, match=f"3 times without anything new at {server.half} B.*goes on where it stopped"
    ):
        await puller.pull(tries=2)

    assert puller.folder.part_path("resnet50").stat().st_size == server.half
    assert find_weights(puller.folder, "resnet50") is None


async def test_a_server_without_ranges_that_always_breaks_off_is_given_up(puller, server):
    server.answers = [server.sends(stop_at=server.half, ranges=False)]

    with pytest.raises(DownloadError, match="without anything new"):
        await puller.pull(tries=2)

    assert len(server.requests) == 3


async def test_a_server_that_cannot_resume_sends_all_of_it_again(puller, server):
    server.answers = [server.sends(stop_at=server.half), server.sends(ranges=False)]

    pin = await puller.pull()

    assert pin.sha256 == server.sha256
    assert "starting over: the server cannot resume" in puller.said


async def test_a_file_that_changed_between_two_tries_is_fetched_from_the_start(puller, server):
    changed = server.another()
    server.answers = [server.sends(stop_at=server.half), server.sends(changed, etag='"two"')]

    pin = await puller.pull()

    assert pin.sha256 == hashlib.sha256(changed).hexdigest()
    assert "starting over: the file has changed there" in puller.said


async def test_a_changed_file_is_noticed_even_if_the_server_ignores_if_range(puller, server):
    changed = server.another()

    async def rest_of_another(request, stream):
        span = f"bytes {request.offset}-{len(changed) - 1}/{len(changed)}"
        size = len(changed) - request.offset
        await stream.send_all(server.head("206 Partial", Content_Range=span, Content_Length=size, ETag='"two"'))
        await stream.send_all(changed[request.offset :])

    server.answers = [server.sends(stop_at=server.half), rest_of_another, server.sends(changed, etag='"two"')]

    pin = await puller.pull()

    assert pin.sha256 == hashlib.sha256(changed).hexdigest()
    assert puller.offsets() == [0, server.half, 0]


async def test_a_part_of_unknown_origin_is_not_continued(puller, server):
    puller.folder.create()
    puller.folder.part_path("resnet50").write_bytes(b"x" * 1000)

    pin = await puller.pull()

    assert pin.sha256 == server.sha256
    assert puller.offsets() == [0]


@pytest.mark.parametrize("validator", ["", 'W/"weak"'])
async def test_a_part_without_a_strong_validator_is_not_continued(puller, server, validator):
    server.answers = [server.sends(etag=validator, stop_at=server.half), server.sends(etag=validator)]

    pin = await puller.pull()

    assert pin.sha256 == server.sha256
    assert puller.offsets() == [0, 0]


async def test_a_whole_part_that_was_never_committed_is_not_fetched_again(puller, server):
    server.answers = [server.sends(stop_at=server.half)]
    with pytest.raises(DownloadError):
        await puller.pull(tries=0)
    puller.folder.part_path("resnet50").write_bytes(server.content)

    pin = await puller.pull()

    assert pin.sha256 == server.sha256
    assert len(server.requests) == 1


async def test_redirects_are_followed(puller, server):
    server.answers = [server.replies("302 Found", Location="/elsewhere"), server.sends()]

    pin = await puller.pull()

    assert pin.sha256 == server.sha256
    assert [request.target for request in server.requests] == ["/file.onnx", "/elsewhere"]
    assert pin.source == server.url


async def test_a_circle_of_redirects_ends(puller, server):
    server.answers = [server.replies("302 Found", Location="/file.onnx")]

    with pytest.raises(DownloadError, match="redirects"):
        await puller.pull()


async def test_a_server_that_promises_too_much_is_given_up(puller, server):
    server.answers = [server.sends(said=len(server.content) + 100, ranges=False)]

    with pytest.raises(DownloadError, match="without anything new"):
        await puller.pull()

    assert find_weights(puller.folder, "resnet50") is None


@pytest.mark.parametrize("missing", [1, 3, 200_000])
async def test_a_file_that_is_shorter_than_it_should_be_is_refused(puller, server, missing):
    server.answers = [server.sends(said=len(server.content) - missing)]

    with pytest.raises(BadInputError, match=r"http://127\.0\.0\.1:\d+/file.onnx .*cut off"):
        await puller.pull()

    assert puller.files() == ["resnet50.onnx.lock"]


async def test_a_page_in_place_of_the_file_is_refused(puller, server):
    server.answers = [server.sends(b"<html>Please log in</html>")]

    with pytest.raises(BadInputError, match="is a web page"):
        await puller.pull()

    assert puller.files() == ["resnet50.onnx.lock"]


async def test_trouble_of_the_server_is_waited_for(puller, server):
    server.answers = [server.replies("503 Busy"), server.replies("429 Slowly"), server.sends()]

    pin = await puller.pull()

    assert pin.sha256 == server.sha256
    assert len(puller.said) == 2


async def test_a_refusal_of_the_server_is_not_repeated(puller, server):
    server.answers = [server.replies("404 Not Found")]

    with pytest.raises(DownloadError, match=r"answered 404: .*--from"):
        await puller.pull()

    assert len(server.requests) == 1


async def test_a_server_that_says_nothing_any_more_is_noticed(folder, weights, server):
    async def silence(request, stream):
        await stream.send_all(
            server.head("200 OK", Content_Length=len(server.content), ETag='"one"') + server.content[:1000]
        )
        await trio.sleep_forever()

    server.answers = [silence, server.sends()]
    async with open_client(timeout=0.2, trust_env=False) as client:
        puller = Puller(folder, weights, client, server)

        pin = await puller.pull()

    assert pin.sha256 == server.sha256
    assert puller.offsets() == [0, 1000]


async def test_a_cancelled_pull_keeps_its_part_and_goes_on_from_there(puller, server):
    async def slow(request, stream):
        await stream.send_all(
            server.head("200 OK", Content_Length=len(server.content), ETag='"one"') + server.content[: server.half]
        )
        await trio.sleep_forever()

    server.answers = [slow, server.sends()]
    async with trio.open_nursery() as pulling:
        puller.cancel_at(server.half, pulling.cancel_scope)
        pulling.start_soon(puller.pull)

    pin = await puller.pull()

    assert pin.sha256 == server.sha256
    assert puller.offsets() == [0, server.half]


async def test_two_pulls_at_once_fetch_the_file_once(puller, server):
    pins = []

    async def pull():
        pins.append(await puller.pull())

    async with trio.open_nursery() as both:
        both.start_soon(pull)
        both.start_soon(pull)

    assert pins[0] == pins[1]
    assert len(server.requests) == 1
    assert puller.said[0] == "resnet50: another process fetches it; waiting"
    assert puller.said[1].startswith("resnet50: already here")


async def test_damaged_weights_are_fetched_again(puller, server):
    await puller.pull()
    puller.folder.weights_path("resnet50").write_bytes(server.content[:-1] + b"x")

    await puller.pull()

    assert puller.folder.weights_path("resnet50").read_bytes() == server.content
    assert puller.said == ["resnet50: fetching it again, its SHA-256 is not the pinned one"]


async def test_another_file_than_the_pinned_one_is_refused_with_both_hashes(puller, server):
    await puller.pull()
    puller.folder.weights_path("resnet50").unlink()
    other = server.another()
    server.answers = [server.sends(other, etag='"two"')]

    with pytest.raises(BadInputError) as caught:
        await puller.pull()

    assert server.sha256 in str(caught.value)
    assert hashlib.sha256(other).hexdigest() in str(caught.value)
    assert f"delete {puller.folder.pin_path('resnet50')}" in caught.value.remedy
    assert puller.files() == ["resnet50.onnx.json", "resnet50.onnx.lock"]
