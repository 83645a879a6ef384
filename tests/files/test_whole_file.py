"""Place of a written file: through links, and never in place of what is no file."""

from __future__ import annotations

import os
import socket
import stat

import pytest

from asyncbench.errors import BadInputError, OutputError
from asyncbench.files.whole_file import create_folder, refuse_present, write_whole


def test_a_symbolic_link_stays_and_the_file_that_it_leads_to_is_written(tmp_path):
    (tmp_path / "folder").mkdir()
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "folder" / "file")

    write_whole(link, b"one")
    write_whole(link, b"two")

    assert link.is_symlink()
    assert (tmp_path / "folder" / "file").read_bytes() == b"two"
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["file", "folder", "link"]


def test_links_in_a_circle_are_refused_and_stay(tmp_path):
    (tmp_path / "a").symlink_to(tmp_path / "b")
    (tmp_path / "b").symlink_to(tmp_path / "a")

    with pytest.raises(OutputError, match="in a circle"):
        write_whole(tmp_path / "a", b"")

    assert (tmp_path / "a").is_symlink()


# No device: where the refusal failed, root would replace the machine's own.
@pytest.mark.parametrize("kind", ["pipe", "socket", "folder"])
def test_what_is_no_file_is_refused_and_stays(tmp_path, kind):
    path = tmp_path / "there"
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "socket":
        with socket.socket(socket.AF_UNIX) as one:
            one.bind(str(path))
    else:
        path.mkdir()
    before = stat.S_IFMT(path.lstat().st_mode)

    with pytest.raises(OutputError, match="there: it is not a regular file"):
        write_whole(path, b"new")
    with pytest.raises(OutputError, match="there: it is not a regular file"):
        refuse_present(path, forced=True)

    assert stat.S_IFMT(path.lstat().st_mode) == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_that_is_there_is_refused_unless_forced(tmp_path):
    path = tmp_path / "there"
    path.write_bytes(b"mine")

    with pytest.raises(BadInputError, match=r"is there already: .*--force"):
        refuse_present(path, forced=False)
    refuse_present(path, forced=True)
    refuse_present(tmp_path / "new", forced=False)


@pytest.mark.parametrize("name", ["missing/file", "file/below", "n" * 300])
def test_a_place_that_cannot_be_written_is_refused_by_name(tmp_path, name):
    (tmp_path / "file").write_bytes(b"mine")

    with pytest.raises(OutputError, match=f"cannot write {tmp_path / name}"):
        write_whole(tmp_path / name, b"new")


def test_a_folder_of_the_cache_that_cannot_be_created_is_refused_with_the_variable(tmp_path):
    (tmp_path / "file").write_bytes(b"mine")

    with pytest.raises(OutputError, match="ASYNCBENCH_CACHE"):
        create_folder(tmp_path / "file" / "calibrations")
