"""A small network that stands for published weights, and a server on 127.0.0.1 that misbehaves as it is told."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import httpx2
import numpy as np
import pytest
import trio
from onnx import TensorProto, helper, numpy_helper

from asyncbench.models.store.download import open_client
from asyncbench.models.store.folder import WeightsFolder
from asyncbench.models.store.published import PublishedWeights

_VALUES = 100_000


def network_bytes(seed: int = 0) -> bytes:
    """Return an ONNX file of 400 kB, `scores = x * w`, whose weights are noise."""
    noise = np.random.default_rng(seed).standard_normal(_VALUES, dtype=np.float32)
    graph = helper.make_graph(
        [helper.make_node("Mul", ["x", "w"], ["scores"])],
        "small",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", _VALUES])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["N", _VALUES])],
        initializer=[numpy_helper.from_array(noise, "w")],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8).SerializeToString()


@dataclass(frozen=True, slots=True)
class Request:
    target: str
    headers: dict[str, str]

    @property
    def offset(self) -> int:
        return int(self.headers.get("range", "bytes=0-").removeprefix("bytes=").removesuffix("-"))


Answer = Callable[[Request, trio.SocketStream], Awaitable[None]]


@dataclass
class Server:
    """Gives its answers one after the other, the last one for ever."""

    port: int
    content: bytes
    answers: list[Answer] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/file.onnx"

    @property
    def half(self) -> int:
        return len(self.content) // 2

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.content).hexdigest()

    def another(self) -> bytes:
        return network_bytes(seed=1)

    async def serve(self, stream: trio.SocketStream) -> None:
        text = b""
        while b"\r\n\r\n" not in text:
            text += await stream.receive_some()
        first, *lines = text.decode().split("\r\n\r\n")[0].split("\r\n")
        headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
        request = Request(target=first.split()[1], headers=headers)
        self.requests.append(request)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        with contextlib.suppress(trio.BrokenResourceError):  # the client may go when it likes
            await answer(request, stream)
        await stream.aclose()

    def head(self, status: str, **headers: object) -> bytes:
        lines = [f"HTTP/1.1 {status}", "Connection: close"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        return "\r\n".join([*lines, "", ""]).encode()

    def replies(self, status: str, **headers: object) -> Answer:
        async def answer(request: Request, stream: trio.SocketStream) -> None:
            await stream.send_all(self.head(status, Content_Length=0, **headers))

        return answer

    def sends(
        self,
        content: bytes | None = None,
        *,
        etag: str = '"one"',
        ranges: bool = True,
        stop_at: int | None = None,
        said: int | None = None,
    ) -> Answer:
        """Answer with `content` from where it is asked for.

        Args:
            stop_at: Break off at this offset of the file.
            said: The Content-Length to claim in place of the true one.
        """
        whole = self.content if content is None else content

        async def answer(request: Request, stream: trio.SocketStream) -> None:
            resumes = ranges and request.offset > 0 and request.headers.get("if-range") == etag
            offset = request.offset if resumes else 0
            size = len(whole) - offset if said is None else said
            span = {"Content_Range": f"bytes {offset}-{len(whole) - 1}/{len(whole)}"} if resumes else {}
            await stream.send_all(
                self.head("206 Partial" if resumes else "200 OK", ETag=etag, Content_Length=size, **span)
            )
            await stream.send_all(whole[offset:stop_at])

        return answer


@pytest.fixture
async def server(nursery):
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    server = Server(port=listeners[0].socket.getsockname()[1], content=network_bytes())
    server.answers = [server.sends()]
    await nursery.start(trio.serve_listeners, server.serve, listeners)
    return server


@pytest.fixture
async def client():
    async with open_client(trust_env=False, timeout=httpx2.Timeout(10.0)) as client:
        yield client


@pytest.fixture
def folder(tmp_path):
    return WeightsFolder(root=tmp_path / "weights")


@pytest.fixture
def weights():
    return PublishedWeights(
        model="resnet50",
        title="Small",
        url="https://published.invalid/file.onnx",
        licence="Apache-2.0",
        accuracy="none",
        outputs=frozenset({"scores"}),
    )


@pytest.fixture
def content():
    return network_bytes()
