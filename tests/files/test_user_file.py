"""Files that a user names: whatever a path leads to, reading it ends, and what is refused is said on one line."""

import codecs
import os
import socket
import subprocess
from pathlib import Path

import pytest

from asyncbench.errors import BadInputError
from asyncbench.files.user_file import read_user_bytes, read_user_text, require_regular_file

SAID = {"what": "--config", "remedy": "name a JSON file"}


def read(path: Path) -> str:
    return read_user_text(path, **SAID)


def refusal(path: Path) -> str:
    with pytest.raises(BadInputError) as raised:
        read(path)
    return str(raised.value)


@pytest.mark.parametrize(
    ("mark", "encoding"),
    [
        (b"", "utf-8"),
        (codecs.BOM_UTF8, "utf-8"),
        (codecs.BOM_UTF16_LE, "utf-16-le"),
        (codecs.BOM_UTF16_BE, "utf-16-be"),
    ],
)
def test_a_text_is_read_without_its_byte_order_mark_and_with_plain_line_ends(tmp_path, mark, encoding):
    path = tmp_path / "labels.txt"
    path.write_bytes(mark + "für.jpg 1\r\nb.jpg 2\n".encode(encoding))

    assert read(path) == "für.jpg 1\nb.jpg 2\n"


def test_what_is_no_text_is_refused_with_its_line(tmp_path):
    path = tmp_path / "labels.txt"
    path.write_bytes(b"a\nb\n\xff\xff\n")

    assert refusal(path) == f"--config {path}: line 3 is not UTF-8 text: name a JSON file"


@pytest.mark.parametrize(
    ("place", "reason"),
    [
        (".", "it is a folder"),
        ("missing.json", "No such file or directory"),
        ("/dev/zero", "it is a device, not a file"),
        ("a\0b", "embedded null byte"),
    ],
)
def test_what_is_no_file_is_refused_by_its_kind(tmp_path, place, reason):
    assert f": {reason}: name a JSON file" in refusal(tmp_path / place)


def test_a_socket_is_refused(tmp_path):
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(tmp_path / "s"))

        assert refusal(tmp_path / "s").endswith("name a JSON file")


def refusal_of_pipe(path: Path) -> str:
    with pytest.raises(BadInputError) as raised:
        read_user_bytes(path, pipe_limit_s=0.02, **SAID)
    return str(raised.value)


def test_a_pipe_that_nobody_writes_to_is_not_waited_for_any_longer_than_agreed(tmp_path):
    os.mkfifo(tmp_path / "f")

    assert refusal_of_pipe(tmp_path / "f").endswith(
        "it is a pipe, and nobody wrote to it or its writer did not end: name a JSON file"
    )


def test_a_pipe_whose_writer_does_not_end_is_not_waited_for_any_longer_than_agreed():
    reading, writing = os.pipe()
    os.write(writing, b"{")

    assert "its writer did not end" in refusal_of_pipe(Path(f"/dev/fd/{reading}"))

    os.close(reading)
    os.close(writing)


def test_a_pipe_whose_writer_has_ended_without_a_word_is_refused():
    reading, writing = os.pipe()
    os.close(writing)

    assert refusal(Path(f"/dev/fd/{reading}")).endswith("it is a pipe that nothing was written to: name a JSON file")

    os.close(reading)


def test_a_named_pipe_whose_writer_comes_later_is_read_to_its_end(tmp_path):
    os.mkfifo(tmp_path / "f")
    # The writer opens the pipe once somebody reads it, whoever of both comes first.
    with subprocess.Popen(["sh", "-c", 'echo "{}" > "$0"', tmp_path / "f"]):
        assert read(tmp_path / "f") == "{}\n"


def test_a_file_beyond_the_limit_is_refused_without_being_read_whole(tmp_path):
    path = tmp_path / "huge.json"
    with path.open("wb") as file:
        file.truncate(1 << 40)

    with pytest.raises(BadInputError, match=r"it is larger than 1\.00 MiB"):
        read_user_bytes(path, limit_bytes=1 << 20, **SAID)


def test_only_a_regular_file_can_be_opened_more_than_once(tmp_path):
    path = tmp_path / "model.onnx"
    path.write_bytes(b"")
    os.mkfifo(tmp_path / "f")

    require_regular_file(path, **SAID)
    with pytest.raises(BadInputError, match="it is a pipe, not a file"):
        require_regular_file(tmp_path / "f", **SAID)
