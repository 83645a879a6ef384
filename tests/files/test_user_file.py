"""Files that a user names: whatever a path leads to, reading it ends, and what is refused is said on one line."""

import codecs
import os
import socket
import threading
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


def test_a_pipe_that_nothing_is_written_to_is_refused_at_once(tmp_path):
    os.mkfifo(tmp_path / "f")

    assert refusal(tmp_path / "f").endswith("it is a pipe that nothing is written to: name a JSON file")


def test_a_pipe_with_a_writer_is_read_to_its_end_as_a_shell_s_process_substitution_needs(tmp_path):
    reading, writing = os.pipe()
    begun = threading.Event()

    def write() -> None:
        begun.wait()
        os.write(writing, b"{}")
        os.close(writing)

    writer = threading.Thread(target=write)  # noqa: TID251 - the other end of a pipe, in a test
    writer.start()
    begun.set()

    assert read(Path(f"/dev/fd/{reading}")) == "{}"

    writer.join()
    os.close(reading)


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
