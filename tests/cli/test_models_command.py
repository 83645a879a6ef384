"""`asyncbench models`, with a server on 127.0.0.1 in place of the published address."""

from __future__ import annotations

import json
import signal
import subprocess
import sys

import pytest
import trio
from onnx import TensorProto, helper


def _network():
    """Return an ONNX file that has the outputs of the published ResNet-50."""
    names = ["ArgMax:0", "softmax_tensor:0"]
    graph = helper.make_graph(
        [helper.make_node("Identity", ["x"], [name]) for name in names],
        "small",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 3])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", 3]) for name in names],
        doc_string="x" * 100_000,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8).SerializeToString()


class Server:
    """Sends the file; where it `stalls`, stops in the middle, once."""

    def __init__(self):
        self.content, self.stalls, self.ranges = _network(), False, []

    async def serve(self, stream):
        text = b""
        while b"\r\n\r\n" not in text:
            text += await stream.receive_some()
        line = next((line for line in text.decode().split("\r\n") if line.startswith("Range: ")), "Range: bytes=0-")
        offset = int(line.removeprefix("Range: bytes=").removesuffix("-"))
        self.ranges.append(offset)
        size = len(self.content)
        status = f"206 Partial\r\nContent-Range: bytes {offset}-{size - 1}/{size}" if offset else "200 OK"
        end = size // 2 if self.stalls else size
        await stream.send_all(f'HTTP/1.1 {status}\r\nETag: "1"\r\nContent-Length: {size - offset}\r\n\r\n'.encode())
        await stream.send_all(self.content[offset:end])
        if self.stalls:
            self.stalls = False
            await trio.sleep_forever()
        await stream.aclose()


@pytest.fixture
async def server(nursery):
    server = Server()
    listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
    await nursery.start(trio.serve_listeners, server.serve, listeners)
    server.url = f"http://127.0.0.1:{listeners[0].socket.getsockname()[1]}/resnet50_v1.onnx"
    return server


@pytest.fixture
def direct(tool):
    """The tool without a proxy, which could not reach this machine's own address."""
    tool.environment |= {"NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1"}
    return tool


async def pull(tool, *arguments):
    return await trio.run_process(
        tool.command("models", "pull", "resnet50", *arguments),
        cwd=tool.folder,
        env=tool.environment,
        capture_stdout=True,
        capture_stderr=True,
        check=False,
    )


async def test_pull_prints_the_path_the_licence_and_the_command_that_runs_it(direct, server):
    done = await pull(direct, "--url", server.url)

    path = direct.folder / "cache" / "weights" / "resnet50.onnx"
    said = done.stderr.decode()
    assert (done.returncode, done.stdout.decode().strip()) == (0, str(path))
    assert path.read_bytes() == server.content
    assert "licence Apache-2.0" in said
    assert "100 % of" in said
    assert f"run it with: asyncbench sweep --model {path}" in said


async def test_a_pull_of_what_is_there_says_where_it_came_from_and_announces_nothing(direct, server):
    copy = direct.folder / "copy.onnx"
    copy.write_bytes(_network())
    await pull(direct, "--from", copy)

    done = await pull(direct, "--url", server.url)

    said = done.stderr.decode()
    assert done.returncode == 0
    assert server.ranges == []
    assert said.startswith(f"resnet50: already here, from {copy}; to replace it, delete ")
    assert server.url not in said
    assert "76.456" not in said


async def test_an_interrupted_pull_goes_on_where_it_stopped(direct, server, nursery):
    server.stalls = True
    process = await trio.lowlevel.open_process(
        direct.command("models", "pull", "resnet50", "--url", server.url),
        cwd=direct.folder,
        env=direct.environment,
        stderr=subprocess.PIPE,
    )
    said = b""
    while b"50 %" not in said and b"40 %" not in said:
        chunk = await process.stderr.receive_some()
        assert chunk, said  # or it has ended, and would be waited for without an end
        said += chunk

    process.send_signal(signal.SIGINT)
    code = await process.wait()
    await process.stderr.aclose()
    done = await pull(direct, "--url", server.url)

    assert (code, done.returncode) == (130, 0)
    assert server.ranges[0] == 0
    assert server.ranges[1] > 0


def test_the_list_says_what_is_published_and_that_nothing_was_pulled(tool):
    lines = tool.run("models").stdout.splitlines()[1::2]

    assert all("Apache-2.0; not pulled" in line for line in lines)
    assert "v1.5" in lines[1]
    assert "non-maximum suppression inside, which no backend here runs" in lines[2]


async def test_the_list_says_where_pulled_weights_are(direct, server):
    await pull(direct, "--url", server.url)

    line = (await trio.to_thread.run_sync(direct.run, "models")).stdout.splitlines()[3]

    assert line.endswith(f"pulled to {direct.folder / 'cache' / 'weights' / 'resnet50.onnx'}")
    pin = json.loads((direct.folder / "cache" / "weights" / "resnet50.onnx.json").read_text())
    assert pin["source"] == server.url


def test_a_copy_of_another_network_is_refused(tool):
    copy = tool.folder / "copy.onnx"
    copy.write_bytes(_network())

    done = tool.run("models", "pull", "mobilenet", "--from", copy, check_code=2)

    assert "copy.onnx is not MobileNet v1 1.0 224: its input is" in done.stderr


def test_a_frozen_graph_is_refused_with_the_command_that_converts_it(tool):
    done = tool.run("models", "pull", "mobilenet", "--from", "frozen.pb", check_code=2)

    assert "utility/convert-frozen-graph frozen.pb mobilenet.onnx" in done.stderr


def test_an_unknown_network_is_refused_with_the_closest_name(tool):
    done = tool.run("models", "pull", "resnet", check_code=2)

    assert "did you mean resnet50?" in done.stderr


def test_the_command_line_brings_neither_onnx_nor_an_http_client_along():
    check = (
        "import sys, asyncbench.cli.main; print(sorted({'onnx', 'onnxruntime', 'cv2', 'httpx2'} & set(sys.modules)))"
    )

    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "[]"
